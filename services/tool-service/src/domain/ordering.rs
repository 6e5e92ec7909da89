//! Moving one of a list to another place in it, where the places are numbers.

/// Returns the places that change where `item` is put right behind `beside`, or right before it.
///
/// `items` stand in their order, each with its place; `item` may be new among them. What is between
/// the old and the new place shares the places that stood there, so that nothing else has to move;
/// only where two have the same place, those behind give way. None: `beside` is not among them.
pub(crate) fn moved<T: Copy + PartialEq>(
    items: &[(T, i64)],
    item: T,
    beside: T,
    is_behind: bool,
) -> Option<Vec<(T, i64)>> {
    let from = items.iter().position(|(it, _)| *it == item);
    let others = items.iter().filter(|(it, _)| *it != item);
    let mut order: Vec<(T, Option<i64>)> = others.map(|(it, place)| (*it, Some(*place))).collect();
    let to = order.iter().position(|(it, _)| *it == beside)? + usize::from(is_behind);
    order.insert(to, (item, None));
    let (first, last) = from.map_or((to, to), |from| (from.min(to), from.max(to)));
    if from.is_some() {
        for (slot, (_, place)) in order[first..=last].iter_mut().zip(&items[first..=last]) {
            slot.1 = Some(*place);
        }
    }
    let mut lowest = match first.checked_sub(1).and_then(|before| order[before].1) {
        Some(before) => before + 1,
        None => 0,
    };
    let mut changes = Vec::new();
    for (it, place) in &order[first..] {
        let place = place.map_or(lowest, |place| place.max(lowest));
        lowest = place + 1;
        if !items.contains(&(*it, place)) {
            changes.push((*it, place));
        }
    }
    Some(changes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The names in the order of their places, once the changes are made.
    fn after(items: &[(char, i64)], changes: &[(char, i64)]) -> String {
        let mut places: Vec<(char, i64)> = items
            .iter()
            .copied()
            .filter(|(it, _)| changes.iter().all(|(of, _)| of != it))
            .collect();
        places.extend(changes);
        places.sort_unstable_by_key(|(it, place)| (*place, *it));
        places.into_iter().map(|(it, _)| it).collect()
    }

    #[test]
    fn those_between_the_old_and_the_new_place_give_way_and_nobody_else() {
        let items = [('a', 0), ('b', 1), ('c', 4), ('d', 5), ('e', 9)];
        for (item, beside, is_behind, order, changed) in [
            ('b', 'd', true, "acdbe", 3),
            ('b', 'd', false, "acbde", 2),
            ('d', 'a', true, "adbce", 3),
            ('e', 'a', false, "eabcd", 5),
            ('b', 'c', false, "abcde", 0),
            ('b', 'a', true, "abcde", 0),
            ('x', 'b', true, "abxcde", 1),
            ('x', 'e', true, "abcdex", 1),
            ('x', 'c', true, "abcxde", 2),
        ] {
            let changes = moved(&items, item, beside, is_behind).unwrap();
            assert_eq!(after(&items, &changes), order, "{item} {beside} {changes:?}");
            assert_eq!(changes.len(), changed, "{item} {beside} {changes:?}");
        }
        assert_eq!(moved(&items, 'b', 'x', true), None);
    }

    proptest! {
        #[test]
        fn the_order_is_as_wished_whatever_places_there_were(
            places in prop::collection::vec(0_i64..6, 2..9),
            item in 0_usize..9,
            beside in 0_usize..9,
            is_behind in any::<bool>(),
        ) {
            let mut places = places;
            places.sort_unstable();
            let items: Vec<(char, i64)> = ('a'..).zip(places).collect();
            let (item, beside) = (items[item % items.len()].0, items[beside % items.len()].0);
            prop_assume!(item != beside);
            let mut wished: String = items.iter().map(|(it, _)| *it).filter(|it| *it != item).collect();
            let at = wished.find(beside).unwrap() + usize::from(is_behind);
            wished.insert(at, item);
            let changes = moved(&items, item, beside, is_behind).unwrap();
            prop_assert_eq!(after(&items, &changes), wished);
        }
    }
}
