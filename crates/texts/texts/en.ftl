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

command-ery = ery
    .description = What Ery is set to here
command-ery-config = config
    .description = What Ery is set to here
command-ery-config-get = get
    .description = Shows what holds here, and where it is set
command-ery-config-get-key = key
    .description = Only this; begin to type to find it
command-ery-config-set = set
    .description = Sets something; it holds within a second
command-ery-config-set-key = key
    .description = What; begin to type to find it
command-ery-config-set-value = value
    .description = To what; lists with commas between
command-ery-config-set-where = where
    .description = For the whole server unless you say otherwise
command-ery-config-set-where-server = for the server
command-ery-config-set-where-channel = for this channel
command-ery-config-set-where-me = for me
command-ery-config-reset = reset
    .description = Sets something no longer: what the layer above says holds again
command-ery-config-reset-key = key
    .description = What; begin to type to find it
command-ery-config-reset-where = where
    .description = For the whole server unless you say otherwise
command-ery-config-reset-where-server = for the server
command-ery-config-reset-where-channel = for this channel
command-ery-config-reset-where-me = for me
command-ery-config-history = history
    .description = Who set what and when
command-ery-config-history-version = version
    .description = Only this one, whole: its number, as the history shows it
command-ery-config-rollback = rollback
    .description = Makes everything what it was at a version
command-ery-config-rollback-version = version
    .description = Its number, as the history shows it; 0 for before anything was set
command-ery-config-preset = preset
    .description = Sets the server to what fits its kind
command-ery-config-preset-name = name
    .description = Which kind
command-ery-config-preset-name-quiet-helper = quiet helper
command-ery-config-preset-name-strict-moderation = strict moderation
command-ery-config-preset-name-busy-community = busy community
command-ery-setup = setup
    .description = Shows menus by which a server sets Ery up
command-ery-status = status
    .description = Whether Ery is at work here, and how
command-ery-usage = usage
    .description = What model turns have cost: for you, and here if you configure Ery
command-ery-pause = pause
    .description = Stops Ery: she answers nothing and does nothing until she is resumed
command-ery-pause-where = where
    .description = In the whole server unless you say otherwise
command-ery-pause-where-server = in the server
command-ery-pause-where-channel = in this channel
command-ery-resume = resume
    .description = Lets Ery go on
command-ery-resume-where = where
    .description = In the whole server unless you say otherwise
command-ery-resume-where-server = in the server
command-ery-resume-where-channel = in this channel
command-ery-access = access
    .description = Which roles may do what with Ery
command-ery-access-show = show
    .description = Shows which roles may do what with Ery
command-ery-access-give = give
    .description = Lets a role do something with Ery
command-ery-access-give-what = what
    .description = What
command-ery-access-give-what-moderator = see cases, pause Ery
command-ery-access-give-what-event_manager = see and take back what others planned
command-ery-access-give-what-config_admin = change what Ery is set to
command-ery-access-give-role = role
    .description = Which role
command-ery-access-take = take
    .description = Lets a role do something no longer
command-ery-access-take-what = what
    .description = What
command-ery-access-take-what-moderator = see cases, pause Ery
command-ery-access-take-what-event_manager = see and take back what others planned
command-ery-access-take-what-config_admin = change what Ery is set to
command-ery-access-take-role = role
    .description = Which role

command-privacy = privacy
    .description = What is kept of you, and what you can have of it
command-privacy-export = export
    .description = Gives you a copy of what is kept of you
command-privacy-export-where = where
    .description = Everywhere unless you say otherwise
command-privacy-export-where-everywhere = everywhere
command-privacy-export-where-server = of this server
command-privacy-delete = delete
    .description = Forgets you; you are asked once more before
command-privacy-delete-where = where
    .description = Everywhere, or in this server alone
command-privacy-delete-where-everywhere = everywhere
command-privacy-delete-where-server = of this server
command-privacy-opt-out = opt-out
    .description = Nothing is learnt from you any more
command-privacy-opt-out-where = where
    .description = Everywhere unless you say otherwise
command-privacy-opt-out-where-everywhere = everywhere
command-privacy-opt-out-where-server = of this server
command-privacy-opt-in = opt-in
    .description = Takes an opt-out back
command-privacy-opt-in-where = where
    .description = Everywhere unless you say otherwise
command-privacy-opt-in-where-everywhere = everywhere
command-privacy-opt-in-where-server = of this server

## Whatever is asked

unknown-command = I do not know this command any more. Reload Discord to see those that there are.
reason-missing = A reason is needed: nothing was done. Write one, and send it again.
value-unusable = I cannot use what you gave there: something is missing, or is none of the values that this command takes. Nothing was done.
unavailable = A part of me does not answer at the moment. I do not know whether that was done: please look before you repeat it.
failed = I could not do that.
not-done = I did not do that. { $reason }
page-of = Page { $page } of { $pages }
page-number = Page { $page }
page-previous = Previous page
page-next = Next page
refused-you-lack = You need the right “{ $permission }” for that, on this server or in the channel.
refused-ery-lacks = I need the right “{ $permission }” for that, on this server or in the channel.
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
refused-proposal-unknown = I do not know that proposal any more.
refused-dry-run = This is a dry run: it was allowed, and would have been done now.
refused-no-tool = There is no such tool.
refused-not-offered = That is not offered here.
refused-in-dm = I cannot do that in a direct message.
refused-shared = Several people asked at once; whoever wants this may ask in a message of their own.
refused-nobody-asked = Only a member of the server can ask me for that.
refused-only-lifts = The end of a sanction can only lift it.
refused-other-place = That channel is not in this server, or you cannot see it.
refused-leak = Not everybody who can read this channel can read where that was written; ask me there.
refused-nothing-to-read = There is no channel that you and everybody in this one can read.
refused-carry = Not everybody who can read that channel can read this one; order it in one plain message of your own.
refused-not-for-all = Not everybody who can read this channel has the right “{ $permission }”; ask me where only they can read.
refused-bot = That is a bot, and bots take no direct messages.
refused-no-role = That role does not exist on this server.
refused-everyone = The role of everyone can be neither given nor taken, deleted or moved.
refused-managed = That role belongs to an integration; nobody can give, take or delete it.
refused-ery-below-role = My highest role is not above that role.
refused-you-below-role = Your highest role is not above that role.
refused-ery-grants-not = I do not have the right “{ $permission }” myself, so I can neither give nor take it.
refused-you-grant-not = You do not have the right “{ $permission }” yourself, so you cannot give or take it.
refused-only-administrators = Only an administrator may do that: it is about the right “{ $permission }”.
refused-ery-left = I am not a member of this server any more.
refused-needs-order = I only do that on a direct order: write it in one plain message of your own.
refused-needs-click = On this server that waits for the click of somebody who may do it.
refused-not-approved = Nobody approved exactly this.
refused-not-planned = That is not planned any more.
refused-paused = I am paused here: until that ends I do nothing but commands.
refused-order-used = That order is carried out already, as often as it was given.
refused-too-many = I have done as much of that as I may do in an hour; ask again later.
refused-slow-mode = There is slow mode there, and what I write for you counts as yours; wait until you may write again.
refused-told-before = This client was told not long ago what others wrote, so this waits for a click.
refused-no-credential = The credential is not valid here any more; ask for a new one.
refused-credential-place = The person of this credential cannot see its channel, or it is a private thread.
refused-too-long = That is too long to be shown whole to those who would approve it; make it shorter.
refused-in-english = The reason: { $reason }

## What is planned

schedule-none = Nothing is planned that you can see.
schedule-heading = { $count ->
    [one] One act is planned:
   *[other] { $count } acts are planned:
}
# An item of the list: the tool's name, the moment, its channel, and its id.
schedule-item = { $tool } at { $due } in { $channel }, id { $id }
schedule-by = planned by { $person }
schedule-prompt = an answer of mine
schedule-ends = the end of what was done for a while
schedule-cancel-button = Cancel { $number }
schedule-cancelled = { $tool } is not planned any more.
schedule-unknown = Nothing of that id is planned here that you could take back.
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
why-too-often = You asked me that several times just now. Wait { $seconds ->
    [one] one second
   *[other] { $seconds } seconds
}.
why-unknown = I know no such message that I may explain to you.
why-nothing = That message had nothing to do with me, as far as I know.
why-own-unknown = I said that, but what led to it is not recorded any more.
why-turned-away = I did not take that message up.
why-gate-own = It is my own.
why-gate-system = It is a message of Discord's own kind, not of a person.
why-gate-automated = It is a bot's or a webhook's, which I do not answer.
why-gate-paused = I was paused.
why-gate-ignored = Its author has set that I leave them alone.
why-gate-off = I am switched off here.
why-gate-listening = I only listen here.
why-gate-not-addressed = It was not addressed to me, and we were not in a conversation.
why-gate-cooldown = I had answered its author just before, and pause between answers.
why-gate-bot-loop = It is a bot's, and I had answered bots many times in a row here: I wait until a person speaks to me, or for ten minutes.
why-gate-other = The reason that is recorded: { $reason }
why-is-of-thread = I said that in a task thread.
why-is-of-call = That was sent by one call:
why-began-thread = That message began a task thread.
why-for = It ran for { $person }, { $count ->
    [one] because of one message.
   *[other] because of { $count } messages.
}
why-planned = It ran for { $person }, because of what they had planned.
why-context = { $count ->
    [one] I had read one message of the channel.
   *[other] I had read { $count } messages of the channel.
}
why-summary = { $count ->
    [one] Of what was said before, I had read a summary of one message.
   *[other] Of what was said before, I had read a summary of { $count } messages.
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
why-budget = What I may spend { $scope ->
    [member] for whoever asked
    [channel] in this channel
    [server] on this server
   *[other] altogether
} { $window ->
    [day] on that day
   *[other] in that month
} was used up.
why-cancelled = It was cancelled, because what it was about was deleted.
why-failed = It failed, and was given up after its last try.
why-too-busy = More was waiting here than I take at once.
why-suspended = It waits for somebody to approve or reject what was proposed.
why-thread = Its number is { $id }.

## Cases

case-not-allowed = The moderation log is for those who moderate.
case-none = Nothing of that kind is recorded.
case-unknown = There is no case of that number here.
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
report-too-many = You reported several messages just now, so I did not pass this one on. Wait { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
}, or tell a moderator yourself.
report-too-many-here = So much was reported on this server just now that I pass nothing more on for { $minutes ->
    [one] one minute
   *[other] { $minutes } minutes
}. Please tell a moderator yourself.
report-heading = { $reporter } reports a message: { $link }
report-reason = Why: { $reason }
report-excerpt = It is by { $author }: { $excerpt }
report-no-excerpt = I do not have its text.
report-place-gone = The channel that is set for reports is not there any more, so they come here: `/ery config set` with `moderation.reports_channel` sets another one.
report-verdict-none = A model's view, not a decision: nothing is wrong with it, { $confidence } % sure.
report-verdict = A model's view, not a decision: { $category ->
    [spam] spam
    [scam] a scam
    [harassment] harassment
    [hate] hate
    [threat] a threat
    [sexual] sexual content
    [self_harm] somebody may hurt themselves
    [personal_data] personal data of others
    [illegal] something illegal
   *[other] wrong for another reason
}, { $severity ->
    [low] of low severity
    [medium] of medium severity
   *[high] of high severity
}, { $confidence } % sure.
report-verdict-reason = It says: { $reason }

## What Ery is set to

ery-takes-configuring = That takes the right “{ $manage }”, or a role that is let change what I am set to (`/ery access show`).
ery-takes-managing = That takes the right “{ $manage }” itself: no role is let do it.
ery-takes-moderating = That takes a right to moderate members, the right “{ $manage }”, or a role that is let do either (`/ery access show`).
ery-takes-keeping-channel = That takes the right “{ $messages }” in this channel, a right to moderate members, the right “{ $manage }”, or a role that is let do either of these two (`/ery access show`).
ery-invalid = That cannot be set: { $problem }
ery-changed = Changed; this is version { $version } now.
ery-untold = Elsewhere it holds within 30 seconds.
# Places: what holds, who set it (settings, global, server, channel), and of what kind it is (amount, choice).
ery-held = It counts as { $value }: { $above ->
    [global] what is set for the whole installation allows
    [server] what is set for the server allows
    [channel] what is set for the channel allows
   *[settings] the operator's settings allow
} { $kind ->
    [amount] no more
   *[choice] nothing else
}.
ery-version-unknown = There is no version { $version } to go back to; `/ery config history` shows those that there are.
ery-moved = Somebody else changed that just now: look at it, and try again.
ery-unchanged = It was so already: nothing was changed.
ery-nothing-set = not set
ery-nothing = nothing
ery-operator = the operator
ery-config-heading = What holds here for you:
ery-config-bounds = It must be { $must }; it can be set { $layers }.
ery-unknown-key = There is no { $path }.
ery-unknown-key-perhaps = There is no { $path }; did you mean { $suggestion }?
ery-wrong-value = { $path } cannot be { $value }: it must be { $must }.
ery-other-kind = { $path } cannot name { $mention }: it must name a { $kind ->
    [role] role
   *[channel] channel
}.
ery-everyone = { $path } cannot name @everyone: Discord lists that role for nobody, so nothing would come of it. Name roles that members are given.
ery-no-such-role = { $path } cannot be { $id }: it must be a role of this server, which has none of that id.
ery-no-such-channel = { $path } cannot be { $id }: it must be a channel of this server, which has none of that id that I can see.
ery-holds-no-messages = { $path } cannot be { $id }: it must be a channel in which messages are written, not a category or a forum.
ery-gone = not there any more: { $what }
ery-wrong-layer = { $path } cannot be set { $layer }, but { $layers }.
ery-layer-word-global = for the whole installation
ery-layer-word-server = for a server
ery-layer-word-channel = for a channel
ery-layer-word-user = by members for themselves
must-one-of = one of { $words }
must-true-or-false = true or false
must-whole-number = a whole number{ $bounds }
must-dollars = an amount in dollars such as 2.50{ $bounds }
must-time = a time such as 90s{ $bounds }
must-days = { $days ->
    [one] 1 day
   *[other] { $days } days
}
must-list = a list, each { $each }
must-list-of = a list of at most { $most }, each { $each }
must-role = a role, by its id or a mention
must-channel = a channel, by its id or a mention
must-language = the code of a language, such as de or pt-BR, or nothing
must-name = a name of 1 to 32 letters and digits
must-text = a text
must-text-of = a text of at most { $most } characters
must-between = { " " }from { $least } to { $most }
must-at-least = { " " }of at least { $least }
must-at-most = { " " }of at most { $most }
ery-layer-default = default
ery-layer-settings = by the operator's settings
ery-layer-global = for the whole installation
ery-layer-server = for the server
ery-layer-channel = for this channel
ery-layer-user = by you
ery-history-none = Nothing was ever set here.
ery-history-entry = **{ $version }** by { $who } { $when }
ery-config-attached = It is attached whole.
ery-version-none = There is no change of that number that I still know: { $version }.
ery-note-rollback = back to version { $version }
ery-note-preset = preset { $name }
ery-note-import = import
ery-choose = Choose below; it holds at once.
ery-choose-in-order = Choose below, in this order; each choice holds at once:
ery-choose-nothing = set nothing here
ery-choose-preset = Which kind of server is this?
ery-choose-too-many = more than 25 are set, which no menu holds: `/ery access give` and `/ery access take` change single ones
ery-preset-would = “{ $name }” would change this:
ery-preset-is-so = “{ $name }” would change nothing here.
ery-preset-do = Do it
ery-value-form = To what
ery-setup-engage = Which messages I answer
ery-setup-reports = Where reports of members go
preset-about-quiet-helper = Answers who asks, and keeps out of everything else.
preset-about-strict-moderation = Everything that changes something about members or the server waits for a moderator's click.
preset-about-busy-community = Many people in many channels: short memory, pauses between answers, bounded threads.
ery-status-paused = I am paused ({ $origin }).
ery-status-off = I answer nothing here.
ery-status-listen = I only listen here.
ery-status-addressed = I answer here who speaks to me.
ery-status-every-message = I read every message here, and answer where I have something to say.
ery-status-ignored = You have set that I leave you alone.
ery-status-dry-run = This is a dry run: I decide what is asked of me, and do none of it.
ery-status-tools-off = Switched off: { $tools }.
ery-status-tools-ask = Only after a click: { $tools }.
ery-paused = I am paused in the whole server: I answer nothing and do nothing until `/ery resume`.
ery-paused-here = I am paused in this channel until `/ery resume`.
ery-resumed = I am at work here again.
ery-still-paused = That pause is over, but I am still paused here: for its channel, for the server or for the whole installation. `/ery status` says which.
ery-access-shown = Discord shows `/case` and `/warn` only to those who have the right “{ $right }”. Who manages the server can show them to others: Server Settings, Integrations.
ery-access-heading = Beside those who may by Discord's own rights:
ery-access-none = no role

## What is kept of a person

privacy-no-server = There is no server here. Ask for everything, or ask in the server.
privacy-exported = This is what is kept of you. `manifest.json` says what each file holds.
privacy-too-large = What is kept of you is larger than what Discord lets me send. Ask those who run me for a copy, or for one server alone.
privacy-forget-server = This would be forgotten of what is kept of you in this server:
privacy-forget-everywhere = This would be forgotten of what is kept of you, in every server and in our direct messages:
privacy-forget-warning = Journals that may quote you go with it. There is no way back. Your messages on Discord stay: they are yours to delete.
privacy-forget-button = Forget me for good
kept-messages = messages
kept-names = names
kept-threads = task threads
kept-executions = calls of tools
kept-cases = entries of the moderation log
kept-approvals = proposals
kept-scheduled-actions = planned acts
kept-learning-data = things learnt
kept-direct-channels = direct messages with me
kept-config = settings
kept-usage = records of what was spent
kept-mcp-credentials = credentials of MCP clients
kept-provider-keys = keys of model providers
kept-dead-letters = requests that failed
privacy-forgotten = You are being forgotten, whatever happens: nothing that you said before is taken in again. It takes up to a day until nothing is left anywhere but in sealed backups, from which it does not come back. Those who run me can tell how it stands by { $id }.
privacy-opted-out = Nothing is learnt from you any more.
privacy-opted-in = It may be learnt from you again.

## Where Ery joins

greeting-hello = Hello! I am Ery. I answer who mentions me or replies to me, and I help to keep this place in order: `/` shows my commands.
greeting-all-there = I have every permission that my tools take.
greeting-nowhere = Hello! I am Ery, and I was invited to your server { $server }. There is no channel there in which I may write: give me the rights “{ $view }” and “{ $send }” in one, and begin with `/ery setup` there.
greeting-missing = For some of my tools I lack permissions; without them I do everything else: { $missing }.
greeting-low-role = My role stands below all others, so I can act on nobody who has one: move it up in the server's settings.
greeting-begin = Who manages this server can choose how I begin, and change it with `/ery config` at any time:
greeting-more = Roles and channels…
greeting-status = How things stand

## Answers

answer-planned = { $person } had planned this.
answer-prompt-not-answered = { $person }, what you had planned for me to answer now was not answered.
answer-prompt-off = It is set that I answer nobody here.
answer-prompt-ignored = You have set that I do not answer you here.
answer-prompt-paused = I was paused here while I worked on it.
answer-cut = My answer became longer than it may be, and ends here.

answer-messages-left-out = { $messages ->
    [one] The oldest message
   *[other] The { $messages } oldest messages
} of what I look at here did not fit, and I did not read { $messages ->
    [one] it
   *[other] them
}.

# In place of an answer, or below one.
answer-no-model = Sorry, my language model is not answering right now, so I have to leave this without an answer. Please try again in a little while.
answer-refused = Sorry, I can't help with that.
answer-out-of-steps = Sorry, this took more steps than I may take for one request, so I stopped here. Please ask for a smaller piece of it.
answer-out-of-tool-calls = Sorry, this would take more actions than I may take for one request, so I stopped here. Please ask for a smaller piece of it.
answer-out-of-tokens = Sorry, this became too long for one request, so I stopped here. Please ask for a smaller piece of it.
answer-out-of-time = Sorry, this took longer than I may work on one request, so I stopped here. Please try again.
answer-failed = Sorry, something went wrong on my side and I could not finish this. It has been noted for the people who run me.
answer-too-busy = Sorry, more is waiting for me here than I can take on, so I have to leave { $messages ->
    [one] this message
   *[other] the last { $messages } messages
} unanswered. Please ask again in a moment.
answer-keys-refused = Sorry, I have to leave this without an answer: { $keys }. Whoever set up that key can give me another one.
answer-keys-and = { ", and " }
answer-key-trouble = the server's own key for { $provider } { $trouble ->
    [not-accepted] is not accepted by the provider
    [no-credit] has no credit left
    [no-model] has no access to the model that I use
   *[no-provider] is for a provider that I do not have
}
answer-answers = answers { $links }
answer-answers-and-more = answers { $links } and { $more } more
# What is said behind these tells what was done, or why it was not; person is a mention, or nothing.
answer-as-planned = { $person }, as planned:
answer-plan-not-done = { $person }, what you had planned ({ $tool }) was not done.
answer-end-not-done = What was to end now ({ $tool }) could not be ended.
answer-as-approved = { $person }, as approved:
answer-approved-not-done = { $person }, what was approved ({ $tool }) was not done.

## What is proposed

# Places: a mention, and a moment as Discord shows it.
proposal-asked = { $asker } asked for this. Whoever may do it themselves can approve it here, until { $until }.
proposal-approve = Approve
proposal-reject = Reject
proposal-asker = Asked for by { $asker }.
proposal-approved = Approved by { $by }.
proposal-rejected = Rejected by { $by }.
proposal-expired = Nobody approved this in time.
proposal-revoked = The credential by which this was asked for was revoked.
proposal-withdrawn = The message that asked for this was deleted.
proposal-waits = This still waits.

# What it would do, as a heading.
act-ban = Ban a member
act-ban-many = Ban several people
act-unban = Lift a ban
act-kick = Remove a member from the server
act-lift-timeout = Lift a member's timeout
act-timeout = Time a member out
act-warn = Warn a member
act-give-role = Give a member a role
act-take-role = Take a role from a member
act-create-role = Create a role
act-change-role = Change a role
act-delete-role = Delete a role
act-move-role = Move a role
act-reset-permissions = Leave to the roles what was set in a channel
act-server-permissions = Change what a role may do on the whole server
act-channel-permissions = Change who may do what in a channel
act-create-channel = Create a channel
act-change-channel = Change a channel
act-move-channel = Move a channel
act-delete-channel = Delete a channel
act-send-message = Send a message
act-edit-message = Change a message of mine
act-delete-message = Delete a message
act-unpin = Unpin a message
act-pin = Pin a message
act-react = React to a message
act-take-all-reactions = Take all reactions to a message away
act-take-emoji-reactions = Take everybody's reactions with one emoji away
act-take-reaction = Take a reaction away
act-send-dm = Send a direct message
act-create-invite = Create an invite
act-create-thread = Begin a thread
act-cancel-plan = Take a plan back
act-plan = Do this later
act-answer = Answer this here, looking things up and doing nothing else
act-delete-messages = Delete { $count } messages

# Its parts, each before what it is; behind some of them stand those below.
part-with-a-frame = with a frame
part-with-a-poll = with a poll
part-with-a-file = with a file
part-with-a-sticker = with a sticker
part-with-a-value = with a value
part-member = member
part-written-by = written by
part-it-answers = it answers
part-planned-by = planned by
part-asked-for-in = asked for in
part-channel = channel
part-in-the-category = in the category
part-right-above = right above
part-right-below = right below
part-role = role
part-message = message
part-which = which
part-in-reply-to = in reply to
part-for = for
part-valid-for = valid for
part-slow-mode = slow mode
part-open-for = open for
part-permissions = permissions
part-allowed = allowed
part-denied = denied
part-left-to-the-roles = left to the roles
part-colour = colour
part-until = until
part-at = at
part-who-came = who came
part-shown-apart-from-others = shown apart from others
part-may-be-notified-by-everybody = may be notified by everybody
part-only-for-adults = only for adults
part-put-away = put away
part-locked = locked
part-several-answers-may-be-chosen = several answers may be chosen
part-out-of-its-category = out of its category
part-only-for-as-long-as-they-stay-online = only for as long as they stay online
part-another-one-than-there-is = another one than there is
part-can-be-used = can be used
part-text = text
part-heading = heading
part-small-text = small text
part-put-away-without-messages-for = put away without messages for
part-told-by = told by
part-to-be-seen-by = to be seen by
part-kind = kind
part-with-what-they-wrote-in-the-last = with what they wrote in the last
part-in = in
part-none-good = good
part-none-for-ever = for ever
part-none-off = off
part-none-any-number-of-times = any number of times
part-is-channel = a message in the channel
part-is-dm = a direct message
part-is-none = nothing: it is only written down
part-is-public = everybody who sees the channel
part-is-private = those who are added
part-is-text = text
part-is-voice = voice
part-is-category = category
part-is-announcement = announcement
part-is-stage = stage
part-is-forum = forum
part-reason = reason
part-prompt = prompt
part-name = name
part-id = id
part-topic = topic
part-position = position
part-emoji = emoji
part-tags = tags
part-question = question
part-answers = answers
part-value = value
part-no-rights = none
part-yes = yes
part-no = no
part-members = { $count ->
    [one] { $count } member
   *[other] { $count } members
}
part-notified = { $count ->
    [one] { $count } person is notified
   *[other] { $count } people are notified
}
person-role = role { $role }
person-no-role = no role
person-joined = joined { $at }
person-calls-themselves = calls themselves “{ $name }”
span-and = { " and " }
span-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}
span-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
span-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
span-seconds = { $count ->
    [one] { $count } second
   *[other] { $count } seconds
}

## Warnings that are given

warned-here = { $person }, you are warned
warned-on-server = You are warned on the server { $server }


## What may be spent

# Places: whose budget it is (member, channel, server, installation), and over what time (day, month).
budget-warned = { $percent } % of what I may spend { $scope ->
    [member] for you
    [channel] in this channel
   *[other] on this server
} { $window ->
    [day] today
   *[other] this month
} is used up.
budget-cheaper = What I may spend { $scope ->
    [member] for you
    [channel] in this channel
    [server] on this server
   *[other] altogether
} { $window ->
    [day] today
   *[other] this month
} is used up: I go on with a simpler model, which has a limit of its own.
# The moment when it begins anew, as Discord shows it.
budget-stopped = Sorry, what I may spend { $scope ->
    [member] for you
    [channel] in this channel
    [server] on this server
   *[other] altogether
} { $window ->
    [day] today
   *[other] this month
} is used up. I answer again from { $until } on.

usage-heading-day = Today (UTC):
usage-heading-month = This month (UTC):
usage-of-you = You: { $spent }
usage-of-server = This server: { $spent }
usage-of-channel = This channel: { $spent }
usage-of-person = { $person }: { $spent }
usage-of-place = { $place }: { $spent }
usage-of-model = { $model }: { $spent }
usage-nobody = summaries, and people who are forgotten
# How much: dollars and tokens.
# The number of turns is given twice: to be counted, and as it is written.
usage-spent = { $money }, { $tokens } tokens in { $count ->
    [one] one model turn
   *[other] { $turns } model turns
}
usage-sum = { $money }, { $tokens } tokens
usage-of-budget = (of { $budget })
usage-top-models = By model, this month:
usage-top-channels = Channels, this month:
usage-top-members = Members, this month:
usage-assumed = { $money } of it is by an assumed price, since the model's own is not known to me: those who run me can set it (`ai.prices`).
usage-on-own-key = { $money } of it is on this server's own keys.
usage-estimated = { $count ->
    [one] One model turn was cut off, and is counted by what it may have cost at most.
   *[other] { $count } model turns were cut off, and are counted by what they may have cost at most.
}
usage-summaries = Of that, { $money } was spent on summaries of channels ({ $tokens } tokens).
usage-lost = { $count ->
    [one] Of one model turn nobody knows what it cost: its process was lost.
   *[other] Of { $count } model turns nobody knows what they cost: their process was lost.
}

## Rights of members, as Discord shows them in its settings

right-view-channel = View channels
right-send-messages = Send messages
right-send-messages-in-threads = Send messages in threads
right-read-message-history = Read message history
right-add-reactions = Add reactions
right-use-external-emojis = Use external emoji
right-use-external-stickers = Use external stickers
right-moderate-members = Time out members
right-kick-members = Kick members
right-ban-members = Ban members
right-manage-messages = Manage messages
right-manage-channels = Manage channels
right-manage-roles = Manage roles
right-manage-guild = Manage server
right-manage-threads = Manage threads
right-manage-nicknames = Manage nicknames
right-manage-webhooks = Manage webhooks
right-manage-events = Manage events
right-create-events = Create events
right-view-audit-log = View audit log
right-create-instant-invite = Create invite
right-create-public-threads = Create public threads
right-create-private-threads = Create private threads
right-embed-links = Embed links
right-attach-files = Attach files
right-mention-everyone = Mention @everyone, @here and all roles
right-send-polls = Create polls
right-pin-messages = Pin messages
right-bypass-slowmode = Bypass slowmode
right-use-application-commands = Use application commands
right-change-nickname = Change nickname
right-manage-guild-expressions = Manage expressions
right-create-guild-expressions = Create expressions
right-mute-members = Mute members
right-deafen-members = Deafen members
right-move-members = Move members
right-connect = Connect
right-speak = Speak
right-administrator = Administrator
right-priority-speaker = Priority speaker
right-stream = Video
right-send-tts-messages = Send text-to-speech messages
right-view-guild-insights = View server insights
right-use-vad = Use voice activity
right-request-to-speak = Request to speak
right-use-embedded-activities = Use activities
right-view-creator-monetization-analytics = View creator monetization analytics
right-use-soundboard = Use soundboard
right-use-external-sounds = Use external sounds
right-send-voice-messages = Send voice messages
right-use-external-apps = Use external apps
right-unknown = a newer permission
