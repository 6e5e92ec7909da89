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

## Whatever is asked

unknown-command = I do not know this command any more. Reload Discord to see those that there are.
unavailable = A part of me does not answer at the moment. I do not know whether that was done: please look before you repeat it.
failed = I could not do that.
not-done = I did not do that. { $reason }

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
