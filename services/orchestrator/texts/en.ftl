### What Ery says in commands. Discord shows Markdown.
### Every language has the same texts with the same places; a test compares them.

## Names and descriptions of commands
## Names of typed commands and of their options: letters in lower case, digits, "-" and "_".
## Descriptions: 100 characters at most.

command-schedule = schedule
    .description = What Ery is to do later
command-schedule-list = list
    .description = Shows what is planned: your own, and the server's if you moderate
command-schedule-cancel = cancel
    .description = Takes back what is planned
command-schedule-cancel-what = what
    .description = Which one; begin to type to find it

command-warn = warn
    .description = Warns a member, and keeps it in the moderation log
command-warn-member = member
    .description = Whom
command-warn-reason = reason
    .description = For what; they read it
command-warn-notice = notice
    .description = How they are told: in this channel unless you say otherwise
command-warn-notice-channel = in this channel
command-warn-notice-dm = by a direct message
command-warn-notice-none = not at all
command-warn-person = Warn…

command-why = why
    .description = Explains why Ery answered, kept silent, acted or refused
command-why-message = message
    .description = A link to the message, or its id; else your last request here
command-explain-message = Explain this
command-report-message = Report message
command-case = case
    .description = The moderation log
command-case-list = list
    .description = What was done last, to all or to one member
command-case-list-member = member
    .description = To whom
command-case-show = show
    .description = One case whole
command-case-show-number = number
    .description = Its number, as the list shows it

## Whatever is asked

unknown-command = I do not know this command any more. Reload Discord to see those that there are.
unavailable = A part of me does not answer at the moment. I do not know whether that was done: please look before you repeat it.
failed = I could not do that.
not-done = I did not do that. { $reason }
refused-you-lack = You need the permission { $permission } for that, on this server or in the channel.
refused-ery-lacks = I need the permission { $permission } for that, on this server or in the channel.
refused-your-rank = Your highest role is not above that member's highest role.
refused-erys-rank = My highest role is not above that member's highest role.
refused-yourself = Nobody can do that to themselves through me.
refused-ery = I do not do that to myself.
refused-owner = Nobody can do that to the owner of the server.
refused-no-member = That person is not a member of this server.
refused-administrator = That member is an administrator: for them it is not allowed, or only to administrators.
refused-you-no-member = You are not a member of this server.
refused-timed-out = You are timed out at the moment and may only read.
refused-off = That is switched off here.
refused-dry-run = This is a dry run: it was allowed, and would have been done now.

## What is planned

schedule-none = Nothing is planned that you can see.
schedule-heading = { $count ->
    [one] One act is planned:
   *[other] { $count } acts are planned:
}
# An item of the list: the tool's name, the moment, its channel, and its id.
schedule-item = { $tool } at { $due } in { $channel }, id { $id }
schedule-by = planned by { $person }
schedule-ends = the end of what was done for a while
schedule-more = { $count ->
    [one] One more is not shown.
   *[other] { $count } more are not shown.
}
schedule-cancel-button = Cancel { $number }
schedule-cancelled = { $tool } is not planned any more.
schedule-choice = { $tool } · { $due } · { $detail }

## Warnings

warn-form = Warn a member
warn-form-reason = For what? They read it.
warn-done = { $person } is warned.
warn-told-here = They were told in this channel.
warn-told-privately = They were told by a direct message.
warn-not-told = They were not told.
warn-could-not-be-told = I could not tell them.
warn-perhaps-told = I do not know whether they were told.

## Why

why-unclear = That is neither a link to a message nor its id.
why-no-last = You have not had me at work here lately.
why-elsewhere = That message is somewhere else; ask there.
why-too-often = You asked me that several times just now. Wait { $seconds } seconds.
why-unknown = I know no such message that I may explain to you.
why-nothing = That message had nothing to do with me, as far as I know.
why-own-unknown = I said that, but what led to it is not recorded any more.
why-turned-away = I did not take that message up.
why-gate-own = It is my own.
why-gate-system = It is a message of Discord's own kind, not of a person.
why-gate-automated = It is a bot's or a webhook's, which I do not answer.
why-gate-off = I am switched off here.
why-gate-listening = I only listen here.
why-gate-not-addressed = It was not addressed to me, and we were not in a conversation.
why-gate-cooldown = I had answered its author just before, and pause between answers.
why-gate-other = The reason that is recorded: { $reason }
why-is-of-thread = I said that in a task thread.
why-is-of-call = That was sent by one call:
why-began-thread = That message began a task thread.
why-for = It ran for { $person }, { $count ->
    [one] because of one message.
   *[other] because of { $count } messages.
}
why-context = { $count ->
    [one] I had read one message of the channel.
   *[other] I had read { $count } messages of the channel.
}
why-orders = The message itself orders: { $tools }
why-model = { $model } was asked with { $tokens ->
    [one] one token
   *[other] { $tokens } tokens
} and wanted { $calls ->
    [0] no call of a tool.
    [one] one call of a tool.
   *[other] { $calls } calls of tools.
}
why-model-refused = The model itself refused to answer.
why-call = - { $tool }: { $state }
why-call-for = , for { $person }
why-call-ordered = , as ordered word for word
why-call-approved = , approved by { $person }
why-call-done = done
why-call-failed = failed
why-call-denied = denied
why-call-proposed = proposed, and waits for a click or was decided by one
why-call-in-doubt = perhaps done; nobody could tell
why-call-open = begun, and not ended yet
why-more-calls = { $count ->
    [one] One more call is not shown.
   *[other] { $count } more calls are not shown.
}
why-running = It is still at work.
why-answered = Then I answered.
why-silent = The model chose to say nothing.
why-out-of-budget = A budget of the thread ran out: of steps, calls, tokens or time.
why-cancelled = It was cancelled, because what it was about was deleted.
why-failed = It failed, and was given up after its last try.
why-too-busy = More was waiting here than I take at once.
why-suspended = It waits for somebody to approve or reject what was proposed.
why-thread = Its number is { $id }.

## Cases

case-not-allowed = The moderation log is for those who moderate.
case-none = Nothing of that kind is recorded.
case-unknown = There is no case of that number here.
case-more = There are older ones.
case-item = #{ $number } { $tool }, { $at }
case-target = , to { $person }
case-by = , by { $person }
case-by-nobody = , by a rule or because its time was over
case-approved = Approved by { $person }
case-execution = Recorded as { $key }

## Reports

report-form = Report a message to the staff
report-form-reason = What is wrong with it?
report-sent = Thank you. The staff of this server can see it now.
report-perhaps-sent = I do not know whether the staff was told: please tell a moderator yourself.
report-not-sent = I could not tell the staff: please tell a moderator yourself.
report-no-place = This server has no channel for its staff that I know of, so I told nobody. Please tell a moderator yourself.
report-too-many = You reported several messages just now, so I did not pass this one on. Wait { $minutes } minutes, or tell a moderator yourself.
report-too-many-here = So much was reported on this server just now that I pass nothing more on for { $minutes } minutes. Please tell a moderator yourself.
report-heading = { $reporter } reports a message: { $link }
report-reason = Why: { $reason }
report-excerpt = It is by { $author }: { $excerpt }
report-no-excerpt = I do not have its text.
