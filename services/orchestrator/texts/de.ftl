### Was Ery in Befehlen sagt. Discord zeigt Markdown.
### Jede Sprache hat dieselben Texte mit denselben Stellen; ein Test vergleicht sie.

## Namen und Beschreibungen der Befehle
## Namen getippter Befehle und ihrer Optionen: Kleinbuchstaben, Ziffern, "-" und "_".
## Beschreibungen: höchstens 100 Zeichen.

command-schedule = geplant
    .description = Was Ery später tun soll
command-schedule-list = liste
    .description = Zeigt, was geplant ist: deines, und das des Servers, wenn du moderierst
command-schedule-cancel = absagen
    .description = Nimmt Geplantes zurück
command-schedule-cancel-what = was
    .description = Welches; fang an zu tippen, um es zu finden

command-warn = verwarnen
    .description = Verwarnt ein Mitglied und hält es im Moderationsprotokoll fest
command-warn-member = mitglied
    .description = Wen
command-warn-reason = grund
    .description = Wofür; das Mitglied liest es
command-warn-notice = hinweis
    .description = Wie es davon erfährt: in diesem Kanal, wenn du nichts anderes sagst
command-warn-notice-channel = in diesem Kanal
command-warn-notice-dm = durch eine Direktnachricht
command-warn-notice-none = gar nicht
command-warn-person = Verwarnen…

## Was auch immer gefragt ist

unknown-command = Diesen Befehl kenne ich nicht mehr. Lade Discord neu, um die Befehle zu sehen, die es gibt.
unavailable = Ein Teil von mir antwortet gerade nicht. Ob es geschehen ist, weiß ich nicht: Bitte sieh nach, bevor du es wiederholst.
failed = Das konnte ich nicht tun.
not-done = Das habe ich nicht getan. { $reason }

## Was geplant ist

schedule-none = Es ist nichts geplant, das du sehen kannst.
schedule-heading = { $count ->
    [one] Eine Handlung ist geplant:
   *[other] { $count } Handlungen sind geplant:
}
# Ein Eintrag der Liste: Name des Werkzeugs, Zeitpunkt, Kanal und Kennung.
schedule-item = { $tool } am { $due } in { $channel }, Kennung { $id }
schedule-by = geplant von { $person }
schedule-ends = das Ende von etwas, das auf Zeit geschah
schedule-more = { $count ->
    [one] Eine weitere ist nicht gezeigt.
   *[other] { $count } weitere sind nicht gezeigt.
}
schedule-cancel-button = { $number } absagen
schedule-cancelled = { $tool } ist nicht mehr geplant.
schedule-choice = { $tool } · { $due } · { $detail }

## Verwarnungen

warn-form = Ein Mitglied verwarnen
warn-form-reason = Wofür? Das Mitglied liest es.
warn-done = { $person } ist verwarnt.
warn-told-here = Das Mitglied hat es in diesem Kanal erfahren.
warn-told-privately = Das Mitglied hat es durch eine Direktnachricht erfahren.
warn-not-told = Das Mitglied hat es nicht erfahren.
warn-could-not-be-told = Ich konnte es dem Mitglied nicht sagen.
warn-perhaps-told = Ob das Mitglied es erfahren hat, weiß ich nicht.
