//! ery-budgets
