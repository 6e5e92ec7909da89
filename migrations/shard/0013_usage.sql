-- What model turns have cost, and of which budgets people were told.

-- One row for a day (counted from 1970 by UTC), a channel, a member and a model.
CREATE TABLE usage (
    -- The guild; in a direct message its channel.
    home_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    channel_id INTEGER NOT NULL,
    -- For whom it was spent; 0: for somebody who is forgotten.
    user_id INTEGER NOT NULL,
    -- Both empty where nobody knows whether any was asked.
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    -- 0 in a direct message.
    guild_id INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    -- Part of `prompt_tokens`.
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    -- Part of `cost_micros`: by an assumed price.
    assumed_micros INTEGER NOT NULL,
    -- Part of `turns`: they brought no answer.
    turns_in_vain INTEGER NOT NULL,
    -- Part of `turns`: cut off, and counted by their requests' bounds.
    estimated_turns INTEGER NOT NULL,
    -- Part of nothing: lost with their process, and nobody knows what they cost.
    lost_turns INTEGER NOT NULL,
    PRIMARY KEY (home_id, day, channel_id, user_id, provider, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_of_user ON usage (user_id) WHERE user_id <> 0;
CREATE INDEX usage_by_day ON usage (day);

-- What budgets go by: one row for each of whom there is a budget, and each window.
CREATE TABLE usage_sums (
    -- 0 for the whole file.
    home_id INTEGER NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('file', 'home', 'channel', 'member')),
    -- The channel or the member, else 0.
    subject_id INTEGER NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month')),
    began_day INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    PRIMARY KEY (home_id, scope, subject_id, period, began_day),
    CHECK ((scope = 'file') = (home_id = 0)),
    CHECK ((scope IN ('file', 'home')) = (subject_id = 0))
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_sums_of_member ON usage_sums (subject_id) WHERE scope = 'member';
CREATE INDEX usage_sums_by_day ON usage_sums (began_day);

-- What is told once in a window, and by which thread.
CREATE TABLE usage_notices (
    home_id INTEGER NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('member', 'channel', 'server', 'installation')),
    -- The member; else the channel in which it is told, or 0.
    subject_id INTEGER NOT NULL,
    period TEXT NOT NULL CHECK (period IN ('day', 'month')),
    began_day INTEGER NOT NULL,
    stage TEXT NOT NULL CHECK (stage IN ('warned', 'cheaper', 'stopped')),
    thread_id BLOB NOT NULL,
    PRIMARY KEY (home_id, scope, subject_id, period, began_day, stage)
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_notices_by_day ON usage_notices (began_day);
