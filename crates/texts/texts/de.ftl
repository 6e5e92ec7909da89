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

command-why = warum
    .description = Erklärt, warum Ery geantwortet, geschwiegen, gehandelt oder abgelehnt hat
command-why-message = nachricht
    .description = Ein Link zur Nachricht oder ihre Kennung; sonst deine letzte Bitte hier
command-explain-message = Erkläre das
command-report-message = Nachricht melden
command-case = fall
    .description = Das Moderationsprotokoll
command-case-list = liste
    .description = Was zuletzt geschah, allen oder einem Mitglied
command-case-list-member = mitglied
    .description = Wem
command-case-show = zeigen
    .description = Ein Fall im Ganzen
command-case-show-number = nummer
    .description = Seine Nummer, wie die Liste sie zeigt

command-ery = ery
    .description = Wie Ery hier eingestellt ist
command-ery-config = einstellungen
    .description = Wie Ery hier eingestellt ist
command-ery-config-get = zeigen
    .description = Zeigt, was hier gilt, und wo es eingestellt ist
command-ery-config-get-key = schlüssel
    .description = Nur dies; tippe los, um es zu finden
command-ery-config-set = setzen
    .description = Stellt etwas ein; es gilt binnen einer Sekunde
command-ery-config-set-key = schlüssel
    .description = Was; tippe los, um es zu finden
command-ery-config-set-value = wert
    .description = Auf was; Listen mit Kommas dazwischen
command-ery-config-set-where = wo
    .description = Für den ganzen Server, wenn du nichts anderes sagst
command-ery-config-set-where-server = für den Server
command-ery-config-set-where-channel = für diesen Kanal
command-ery-config-set-where-me = für mich
command-ery-config-reset = zurücksetzen
    .description = Stellt etwas nicht mehr ein: dann gilt wieder, was die Ebene darüber sagt
command-ery-config-reset-key = schlüssel
    .description = Was; tippe los, um es zu finden
command-ery-config-reset-where = wo
    .description = Für den ganzen Server, wenn du nichts anderes sagst
command-ery-config-reset-where-server = für den Server
command-ery-config-reset-where-channel = für diesen Kanal
command-ery-config-reset-where-me = für mich
command-ery-config-history = verlauf
    .description = Wer wann was eingestellt hat
command-ery-config-history-version = version
    .description = Nur diese, ganz: ihre Nummer, wie der Verlauf sie zeigt
command-ery-config-rollback = zurückgehen
    .description = Stellt alles so ein, wie es in einer Version war
command-ery-config-rollback-version = version
    .description = Ihre Nummer, wie sie im Verlauf steht; 0 für: bevor etwas eingestellt war
command-ery-config-preset = vorlage
    .description = Stellt den Server auf das ein, was zu ihm passt
command-ery-config-preset-name = name
    .description = Welche
command-ery-config-preset-name-quiet-helper = stille Hilfe
command-ery-config-preset-name-strict-moderation = strenge Moderation
command-ery-config-preset-name-busy-community = belebte Community
command-ery-setup = einrichten
    .description = Zeigt Menüs, mit denen ein Server Ery einrichtet
command-ery-status = status
    .description = Ob Ery hier arbeitet, und wie
command-ery-usage = verbrauch
    .description = Was Anfragen an Modelle gekostet haben: für dich, und hier, wenn du Ery einstellst
command-ery-pause = anhalten
    .description = Hält Ery an: sie antwortet nicht und tut nichts, bis es weitergeht
command-ery-pause-where = wo
    .description = Im ganzen Server, wenn du nichts anderes sagst
command-ery-pause-where-server = im Server
command-ery-pause-where-channel = in diesem Kanal
command-ery-resume = weitermachen
    .description = Lässt Ery weitermachen
command-ery-resume-where = wo
    .description = Im ganzen Server, wenn du nichts anderes sagst
command-ery-resume-where-server = im Server
command-ery-resume-where-channel = in diesem Kanal
command-ery-access = zugang
    .description = Welche Rollen was mit Ery dürfen
command-ery-access-show = zeigen
    .description = Zeigt, welche Rollen was mit Ery dürfen
command-ery-access-give = geben
    .description = Erlaubt einer Rolle etwas mit Ery
command-ery-access-give-what = was
    .description = Was
command-ery-access-give-what-moderator = Fälle sehen, Ery anhalten
command-ery-access-give-what-event_manager = sehen und zurücknehmen, was andere geplant haben
command-ery-access-give-what-config_admin = einstellen, wie Ery ist
command-ery-access-give-role = rolle
    .description = Welche Rolle
command-ery-access-take = nehmen
    .description = Erlaubt einer Rolle etwas nicht mehr
command-ery-access-take-what = was
    .description = Was
command-ery-access-take-what-moderator = Fälle sehen, Ery anhalten
command-ery-access-take-what-event_manager = sehen und zurücknehmen, was andere geplant haben
command-ery-access-take-what-config_admin = einstellen, wie Ery ist
command-ery-access-take-role = rolle
    .description = Welche Rolle

command-privacy = datenschutz
    .description = Was über dich gespeichert ist, und was du davon haben kannst
command-privacy-export = kopie
    .description = Gibt dir eine Kopie dessen, was über dich gespeichert ist
command-privacy-export-where = wo
    .description = Überall, wenn du nichts anderes sagst
command-privacy-export-where-everywhere = überall
command-privacy-export-where-server = von diesem Server
command-privacy-delete = löschen
    .description = Vergisst dich; vorher wirst du noch einmal gefragt
command-privacy-delete-where = wo
    .description = Überall oder nur auf diesem Server
command-privacy-delete-where-everywhere = überall
command-privacy-delete-where-server = von diesem Server
command-privacy-opt-out = nicht-lernen
    .description = Aus dem, was du sagst, wird nichts mehr gelernt
command-privacy-opt-out-where = wo
    .description = Überall, wenn du nichts anderes sagst
command-privacy-opt-out-where-everywhere = überall
command-privacy-opt-out-where-server = von diesem Server
command-privacy-opt-in = wieder-lernen
    .description = Nimmt das zurück
command-privacy-opt-in-where = wo
    .description = Überall, wenn du nichts anderes sagst
command-privacy-opt-in-where-everywhere = überall
command-privacy-opt-in-where-server = von diesem Server

## Was auch immer gefragt ist

unknown-command = Diesen Befehl kenne ich nicht mehr. Lade Discord neu, um die Befehle zu sehen, die es gibt.
reason-missing = Es braucht einen Grund: nichts ist geschehen. Schreib einen, und schick es noch einmal ab.
value-unusable = Damit kann ich nichts anfangen: Etwas fehlt, oder ist keiner der Werte, die dieser Befehl nimmt. Nichts ist geschehen.
unavailable = Ein Teil von mir antwortet gerade nicht. Ob es geschehen ist, weiß ich nicht: Bitte sieh nach, bevor du es wiederholst.
failed = Das konnte ich nicht tun.
not-done = Das habe ich nicht getan. { $reason }
page-of = Seite { $page } von { $pages }
page-number = Seite { $page }
page-previous = Vorige Seite
page-next = Nächste Seite
refused-you-lack = Dafür brauchst du das Recht „{ $permission }“, auf diesem Server oder in dem Kanal.
refused-ery-lacks = Dafür brauche ich das Recht „{ $permission }“, auf diesem Server oder in dem Kanal.
refused-your-rank = Deine höchste Rolle steht nicht über der höchsten Rolle dieses Mitglieds.
refused-erys-rank = Meine höchste Rolle steht nicht über der höchsten Rolle dieses Mitglieds.
refused-yourself = Niemand kann das durch mich mit sich selbst tun.
refused-ery = Mit mir selbst tue ich das nicht.
refused-owner = Mit der Inhaberin oder dem Inhaber des Servers kann das niemand tun.
refused-no-member = Diese Person ist kein Mitglied dieses Servers.
refused-administrator = Dieses Mitglied ist Administrator: Da ist es nicht erlaubt, oder nur Administratoren.
refused-you-no-member = Du bist kein Mitglied dieses Servers.
refused-timed-out = Du bist gerade im Timeout und darfst nur lesen.
refused-off = Das ist hier ausgeschaltet.
refused-proposal-unknown = Diesen Vorschlag kenne ich nicht mehr.
refused-dry-run = Dies ist ein Probelauf: Es war erlaubt und wäre jetzt geschehen.
refused-no-tool = Dieses Werkzeug gibt es nicht.
refused-not-offered = Das wird hier nicht angeboten.
refused-in-dm = In einer Direktnachricht kann ich das nicht tun.
refused-shared = Mehrere haben zugleich gefragt; wer das will, bittet mich in einer eigenen Nachricht darum.
refused-nobody-asked = Darum kann mich nur ein Mitglied des Servers bitten.
refused-only-lifts = Das Ende einer Maßnahme kann sie nur aufheben.
refused-other-place = Dieser Kanal ist nicht auf diesem Server, oder du siehst ihn nicht.
refused-leak = Nicht alle, die diesen Kanal lesen, dürfen lesen, wo das geschrieben wurde; frag mich dort.
refused-nothing-to-read = Es gibt keinen Kanal, den du und alle in diesem lesen dürfen.
refused-carry = Nicht alle, die jenen Kanal lesen, dürfen diesen lesen; ordne es in einer schlichten eigenen Nachricht an.
refused-not-for-all = Nicht alle, die diesen Kanal lesen, haben das Recht „{ $permission }“; frag mich, wo nur sie lesen.
refused-bot = Das ist ein Bot, und Bots nehmen keine Direktnachrichten an.
refused-no-role = Diese Rolle gibt es auf diesem Server nicht.
refused-everyone = Die Rolle aller kann man weder geben noch nehmen, löschen oder verschieben.
refused-managed = Diese Rolle gehört einer Integration; niemand kann sie geben, nehmen oder löschen.
refused-ery-below-role = Meine höchste Rolle steht nicht über dieser Rolle.
refused-you-below-role = Deine höchste Rolle steht nicht über dieser Rolle.
refused-ery-grants-not = Das Recht „{ $permission }“ habe ich selbst nicht und kann es weder geben noch nehmen.
refused-you-grant-not = Das Recht „{ $permission }“ hast du selbst nicht und kannst es weder geben noch nehmen.
refused-only-administrators = Das dürfen nur Administratoren: es geht um das Recht „{ $permission }“.
refused-ery-left = Ich bin nicht mehr auf diesem Server.
refused-needs-order = Das tue ich nur auf eine direkte Anordnung: schreib sie in einer schlichten eigenen Nachricht.
refused-needs-click = Auf diesem Server wartet das auf den Klick von jemandem, der es darf.
refused-not-approved = Genau das hat niemand gebilligt.
refused-not-planned = Das ist nicht mehr geplant.
refused-paused = Ich bin hier angehalten: bis das endet, führe ich nur Befehle aus.
refused-order-used = Diese Anordnung ist schon ausgeführt, so oft wie sie gegeben wurde.
refused-too-many = Davon habe ich getan, was ich in einer Stunde tun darf; frag später noch einmal.
refused-slow-mode = Dort gilt der Slow Mode, und was ich für dich schreibe, zählt als deines; warte, bis du wieder schreiben darfst.
refused-told-before = Dieses Programm hat vor Kurzem erfahren, was andere schrieben; darum wartet das auf einen Klick.
refused-no-credential = Der Zugang gilt hier nicht mehr; bitte um einen neuen.
refused-credential-place = Die Person dieses Zugangs sieht seinen Kanal nicht, oder er ist ein privater Thread.
refused-too-long = Das ist zu lang, um denen ganz gezeigt zu werden, die es billigen würden; mach es kürzer.
refused-in-english = Der Grund steht nur auf Englisch da: { $reason }

## Was geplant ist

schedule-none = Es ist nichts geplant, das du sehen kannst.
schedule-heading = { $count ->
    [one] Eine Handlung ist geplant:
   *[other] { $count } Handlungen sind geplant:
}
# Ein Eintrag der Liste: Name des Werkzeugs, Zeitpunkt, Kanal und Kennung.
schedule-item = { $tool } am { $due } in { $channel }, Kennung { $id }
schedule-by = geplant von { $person }
schedule-prompt = eine Antwort von mir
schedule-ends = das Ende von etwas, das auf Zeit geschah
schedule-cancel-button = { $number } absagen
schedule-cancelled = { $tool } ist nicht mehr geplant.
schedule-unknown = Unter dieser Kennung ist hier nichts geplant, das du zurücknehmen könntest.
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

## Warum

why-unclear = Das ist weder ein Link zu einer Nachricht noch ihre Kennung.
why-no-last = Du hattest mich hier in letzter Zeit nicht bei der Arbeit.
why-elsewhere = Diese Nachricht ist anderswo; frag dort.
why-too-often = Das hast du mich gerade mehrmals gefragt. Warte { $seconds ->
    [one] eine Sekunde
   *[other] { $seconds } Sekunden
}.
why-unknown = Ich kenne keine solche Nachricht, die ich dir erklären darf.
why-nothing = Diese Nachricht hatte, soweit ich weiß, nichts mit mir zu tun.
why-own-unknown = Das habe ich gesagt, aber was dazu führte, ist nicht mehr festgehalten.
why-turned-away = Diese Nachricht habe ich nicht aufgegriffen.
why-gate-own = Sie ist meine eigene.
why-gate-system = Sie ist eine Nachricht von Discord selbst, nicht von einem Menschen.
why-gate-automated = Sie ist von einem Bot oder Webhook; denen antworte ich nicht.
why-gate-paused = Ich war angehalten.
why-gate-ignored = Ihr Autor hat eingestellt, dass ich ihn in Ruhe lasse.
why-gate-off = Ich bin hier ausgeschaltet.
why-gate-listening = Ich höre hier nur zu.
why-gate-not-addressed = Sie war nicht an mich gerichtet, und wir waren nicht im Gespräch.
why-gate-cooldown = Ich hatte ihrem Autor gerade erst geantwortet und mache zwischen Antworten Pause.
why-gate-bot-loop = Sie ist von einem Bot, und ich hatte hier Bots schon viele Male hintereinander geantwortet: Ich warte, bis mich ein Mensch anspricht, oder zehn Minuten.
why-gate-other = Der festgehaltene Grund: { $reason }
why-is-of-thread = Das habe ich in einem Aufgaben-Thread gesagt.
why-is-of-call = Das hat ein einzelner Aufruf gesendet:
why-began-thread = Mit dieser Nachricht begann ein Aufgaben-Thread.
why-for = Er lief für { $person }, { $count ->
    [one] wegen einer Nachricht.
   *[other] wegen { $count } Nachrichten.
}
why-planned = Er lief für { $person }, wegen etwas Geplantem.
why-context = { $count ->
    [one] Gelesen hatte ich eine Nachricht des Kanals.
   *[other] Gelesen hatte ich { $count } Nachrichten des Kanals.
}
why-summary = { $count ->
    [one] Von dem, was davor gesagt wurde, hatte ich eine Zusammenfassung einer Nachricht gelesen.
   *[other] Von dem, was davor gesagt wurde, hatte ich eine Zusammenfassung von { $count } Nachrichten gelesen.
}
why-orders = Die Nachricht selbst ordnet an: { $tools }
why-model = { $model } wurde mit { $tokens ->
    [one] einem Token
   *[other] { $tokens } Tokens
} gefragt und wollte { $calls ->
    [0] kein Werkzeug aufrufen.
    [one] ein Werkzeug aufrufen.
   *[other] { $calls } Werkzeuge aufrufen.
}
why-model-refused = Das Modell selbst hat sich geweigert zu antworten.
why-call = - { $tool }: { $state }
why-call-for = , für { $person }
why-call-ordered = , wörtlich so angeordnet
why-call-approved = , gebilligt von { $person }
why-call-done = getan
why-call-failed = fehlgeschlagen
why-call-denied = abgelehnt
why-call-proposed = vorgeschlagen; es wartet auf einen Klick oder wurde durch einen entschieden
why-call-in-doubt = vielleicht getan; niemand konnte es feststellen
why-call-open = begonnen und noch nicht beendet
why-more-calls = { $count ->
    [one] Ein weiterer Aufruf ist nicht gezeigt.
   *[other] { $count } weitere Aufrufe sind nicht gezeigt.
}
why-running = Er ist noch bei der Arbeit.
why-answered = Dann habe ich geantwortet.
why-silent = Das Modell hat sich entschieden, nichts zu sagen.
why-out-of-budget = Ein Budget des Threads war erschöpft: Schritte, Aufrufe, Tokens oder Zeit.
why-budget = Was ich { $window ->
    [day] an jenem Tag
   *[other] in jenem Monat
} { $scope ->
    [member] für den, der fragte,
    [channel] in diesem Kanal
    [server] auf diesem Server
   *[other] insgesamt
} ausgeben durfte, war verbraucht.
why-cancelled = Er wurde abgebrochen, weil gelöscht wurde, worum es ging.
why-failed = Er ist gescheitert und wurde nach dem letzten Versuch aufgegeben.
why-too-busy = Hier wartete mehr, als ich auf einmal annehme.
why-suspended = Er wartet, bis jemand den Vorschlag billigt oder ablehnt.
why-thread = Seine Nummer ist { $id }.

## Fälle

case-not-allowed = Das Moderationsprotokoll ist für die, die moderieren.
case-none = Nichts dergleichen ist festgehalten.
case-unknown = Einen Fall mit dieser Nummer gibt es hier nicht.
case-item = Nr. { $number } { $tool }, { $at }
case-target = , bei { $person }
case-by = , durch { $person }
case-by-nobody = , durch eine Regel oder weil die Zeit um war
case-approved = Gebilligt von { $person }
case-execution = Festgehalten als { $key }

## Meldungen

report-form = Dem Team eine Nachricht melden
report-form-reason = Was ist damit nicht in Ordnung?
report-sent = Danke. Das Team dieses Servers kann es jetzt sehen.
report-perhaps-sent = Ob das Team es erfahren hat, weiß ich nicht: Bitte sag es selbst jemandem, der moderiert.
report-not-sent = Ich konnte es dem Team nicht sagen: Bitte sag es selbst jemandem, der moderiert.
report-no-place = Dieser Server hat keinen Kanal für sein Team, den ich kenne; ich habe es niemandem gesagt. Bitte sag es selbst jemandem, der moderiert.
report-too-many = Du hast gerade mehrere Nachrichten gemeldet; diese habe ich nicht weitergegeben. Warte { $minutes ->
    [one] eine Minute
   *[other] { $minutes } Minuten
}, oder sag es selbst jemandem, der moderiert.
report-too-many-here = Auf diesem Server wurde gerade so viel gemeldet, dass ich für { $minutes ->
    [one] eine Minute
   *[other] { $minutes } Minuten
} nichts mehr weitergebe. Bitte sag es selbst jemandem, der moderiert.
report-heading = { $reporter } meldet eine Nachricht: { $link }
report-reason = Warum: { $reason }
report-excerpt = Sie ist von { $author }: { $excerpt }
report-no-excerpt = Ihren Text habe ich nicht.
report-place-gone = Den Kanal, der für Meldungen eingestellt ist, gibt es nicht mehr, also kommen sie hierher: `/ery einstellungen setzen` mit `moderation.reports_channel` stellt einen anderen ein.
report-verdict-none = Die Ansicht eines Modells, keine Entscheidung: Daran ist nichts falsch, zu { $confidence } % sicher.
report-verdict = Die Ansicht eines Modells, keine Entscheidung: { $category ->
    [spam] Spam
    [scam] Betrug
    [harassment] Belästigung
    [hate] Hass
    [threat] eine Drohung
    [sexual] sexuelle Inhalte
    [self_harm] jemand könnte sich etwas antun
    [personal_data] Persönliches von anderen
    [illegal] etwas Verbotenes
   *[other] aus einem anderen Grund falsch
}, { $severity ->
    [low] nicht schwer
    [medium] mittelschwer
   *[high] schwer
}, zu { $confidence } % sicher.
report-verdict-reason = Es sagt: { $reason }

## Wie Ery eingestellt ist

ery-takes-configuring = Dafür braucht es das Recht „{ $manage }“ oder eine Rolle, die einstellen darf, wie ich bin (`/ery zugang zeigen`).
ery-takes-managing = Dafür braucht es das Recht „{ $manage }“ selbst: Keiner Rolle ist das erlaubt.
ery-takes-moderating = Dafür braucht es ein Recht, Mitglieder zu moderieren, das Recht „{ $manage }“ oder eine Rolle, der eines davon hier erlaubt ist (`/ery zugang zeigen`).
ery-takes-keeping-channel = Dafür braucht es das Recht „{ $messages }“ in diesem Kanal, ein Recht, Mitglieder zu moderieren, das Recht „{ $manage }“ oder eine Rolle, der eines der letzten beiden hier erlaubt ist (`/ery zugang zeigen`).
ery-invalid = Das lässt sich nicht einstellen: { $problem }
ery-changed = Geändert; das ist jetzt Version { $version }.
ery-untold = Anderswo gilt es binnen 30 Sekunden.
# Stellen: was gilt, wer es eingestellt hat (settings, global, server, channel), und welcher Art es ist (amount, choice).
ery-held = Es zählt als { $value }: { $above ->
    [global] was für die ganze Installation eingestellt ist, erlaubt
    [server] was für den Server eingestellt ist, erlaubt
    [channel] was für den Kanal eingestellt ist, erlaubt
   *[settings] die Einstellungen des Betreibers erlauben
} { $kind ->
    [amount] nicht mehr
   *[choice] nichts anderes
}.
ery-version-unknown = Eine Version { $version }, zu der es zurückgehen könnte, gibt es nicht; `/ery einstellungen verlauf` zeigt, welche es gibt.
ery-moved = Gerade hat jemand anders das geändert: sieh es dir an, und versuch es noch einmal.
ery-unchanged = Es war schon so: nichts hat sich geändert.
ery-nothing-set = nicht eingestellt
ery-nothing = nichts
ery-operator = Betreiber
ery-config-heading = Was hier für dich gilt:
ery-config-bounds = Es muss { $must } sein und geht { $layers }.
ery-unknown-key = { $path } gibt es nicht.
ery-unknown-key-perhaps = { $path } gibt es nicht; ist { $suggestion } gemeint?
ery-wrong-value = { $path } kann nicht { $value } sein: es muss { $must } sein.
ery-other-kind = { $path } kann nicht { $mention } nennen: es muss { $kind ->
    [role] eine Rolle
   *[channel] einen Kanal
} nennen.
ery-everyone = { $path } kann nicht @everyone nennen: Discord führt diese Rolle bei niemandem auf, also käme nichts dabei heraus. Nenn Rollen, die Mitglieder bekommen.
ery-no-such-role = { $path } kann nicht { $id } sein: es muss eine Rolle dieses Servers sein, und mit dieser Id hat er keine.
ery-no-such-channel = { $path } kann nicht { $id } sein: es muss ein Kanal dieses Servers sein, und mit dieser Id hat er keinen, den ich sehe.
ery-holds-no-messages = { $path } kann nicht { $id } sein: es muss ein Kanal sein, in den geschrieben wird, keine Kategorie und kein Forum.
ery-gone = gibt es nicht mehr: { $what }
ery-wrong-layer = { $path } geht nicht { $layer }, sondern { $layers }.
ery-layer-word-global = für die ganze Installation
ery-layer-word-server = für einen Server
ery-layer-word-channel = für einen Kanal
ery-layer-word-user = für Mitglieder, die es für sich setzen
must-one-of = eines von { $words }
must-true-or-false = true oder false (ja oder nein)
must-whole-number = eine ganze Zahl{ $bounds }
must-dollars = ein Betrag in Dollar wie 2.50{ $bounds }
must-time = eine Zeit wie 90s{ $bounds }
must-days = { $days ->
    [one] 1 Tag
   *[other] { $days } Tagen
}
must-list = eine Liste, jedes darin { $each }
must-list-of = eine Liste von höchstens { $most }, jedes darin { $each }
must-role = eine Rolle (Id oder Erwähnung)
must-channel = ein Kanal (Id oder Erwähnung)
must-language = der Code einer Sprache, etwa de oder pt-BR, oder nichts
must-name = ein Name aus 1 bis 32 Buchstaben und Ziffern
must-text = ein Text
must-text-of = ein Text von höchstens { $most } Zeichen
must-between = { " " }von { $least } bis { $most }
must-at-least = { " " }von mindestens { $least }
must-at-most = { " " }von höchstens { $most }
ery-layer-default = Vorgabe
ery-layer-settings = durch die Einstellungen des Betreibers
ery-layer-global = für die ganze Installation
ery-layer-server = für den Server
ery-layer-channel = für diesen Kanal
ery-layer-user = von dir
ery-history-none = Hier wurde noch nie etwas eingestellt.
ery-history-entry = **{ $version }** von { $who } { $when }
ery-config-attached = Ganz steht es im Anhang.
ery-version-none = Eine Änderung mit dieser Nummer kenne ich nicht (mehr): { $version }.
ery-note-rollback = zurück zu Version { $version }
ery-note-preset = Vorlage { $name }
ery-note-import = Import
ery-choose = Wähl unten aus; es gilt sofort.
ery-choose-in-order = Wähl unten aus, in dieser Reihenfolge; jede Wahl gilt sofort:
ery-choose-nothing = hier nichts einstellen
ery-choose-preset = Was für ein Server ist das?
ery-choose-too-many = mehr als 25 sind gesetzt, was kein Menü fasst: `/ery zugang geben` und `/ery zugang nehmen` ändern einzelne
ery-preset-would = „{ $name }“ würde das ändern:
ery-preset-is-so = „{ $name }“ würde hier nichts ändern.
ery-preset-do = So einstellen
ery-value-form = Auf was
ery-setup-engage = Welchen Nachrichten ich antworte
ery-setup-reports = Wohin Meldungen von Mitgliedern gehen
preset-about-quiet-helper = Antwortet, wenn man fragt, und hält sich sonst heraus.
preset-about-strict-moderation = Was an Mitgliedern oder am Server etwas ändert, wartet auf einen Klick der Moderation.
preset-about-busy-community = Viele Leute in vielen Kanälen: kurzes Gedächtnis, Pausen zwischen Antworten, begrenzte Threads.
ery-status-paused = Ich bin angehalten ({ $origin }).
ery-status-off = Ich antworte hier nicht.
ery-status-listen = Ich höre hier nur zu.
ery-status-addressed = Ich antworte hier, wenn man mich anspricht.
ery-status-every-message = Ich lese hier jede Nachricht und antworte, wo ich etwas zu sagen habe.
ery-status-ignored = Du hast eingestellt, dass ich dich in Ruhe lasse.
ery-status-dry-run = Dies ist ein Probelauf: ich entscheide, worum man mich bittet, und tue nichts davon.
ery-status-tools-off = Ausgeschaltet: { $tools }.
ery-status-tools-ask = Nur nach einem Klick: { $tools }.
ery-paused = Ich bin im ganzen Server angehalten: ich antworte nicht und tue nichts, bis zu `/ery weitermachen`.
ery-paused-here = Ich bin in diesem Kanal angehalten, bis zu `/ery weitermachen`.
ery-resumed = Ich arbeite hier wieder.
ery-still-paused = Diese Pause ist vorbei, aber ich bin hier noch angehalten: für den Kanal, für den Server oder für die ganze Installation. `/ery status` sagt, wo.
ery-access-shown = Discord zeigt `/fall` und `/verwarnen` nur denen, die das Recht „{ $right }“ haben. Wer den Server verwaltet, kann sie anderen zeigen: Servereinstellungen, Integrationen.
ery-access-heading = Neben denen, die es durch Discords eigene Rechte dürfen:
ery-access-none = keine Rolle

## Was über jemanden gespeichert ist

privacy-no-server = Hier ist kein Server. Frag nach allem, oder frag auf dem Server.
privacy-exported = Das ist über dich gespeichert. `manifest.json` sagt, was in jeder Datei steht.
privacy-too-large = Was über dich gespeichert ist, ist größer als das, was ich über Discord senden kann. Bitte die Betreiber um eine Kopie, oder frag nach einem Server allein.
privacy-forget-server = Das würde vergessen, was auf diesem Server über dich gespeichert ist:
privacy-forget-everywhere = Das würde vergessen, was über dich gespeichert ist, auf jedem Server und in unseren Direktnachrichten:
privacy-forget-warning = Protokolle, die dich zitieren könnten, gehen mit. Es gibt keinen Weg zurück. Deine Nachrichten auf Discord bleiben: die kannst du selbst löschen.
privacy-forget-button = Vergiss mich endgültig
kept-messages = Nachrichten
kept-names = Namen
kept-threads = Aufgaben-Threads
kept-executions = Aufrufe von Werkzeugen
kept-cases = Einträge im Moderationsprotokoll
kept-approvals = Vorschläge
kept-scheduled-actions = geplante Handlungen
kept-learning-data = Gelerntes
kept-direct-channels = Direktnachrichten mit mir
kept-config = Einstellungen
kept-usage = Aufzeichnungen über Verbrauch
kept-mcp-credentials = Zugänge von MCP-Programmen
kept-provider-keys = Schlüssel für Modell-Anbieter
kept-dead-letters = gescheiterte Bitten
privacy-forgotten = Du wirst vergessen, was auch geschieht: was du vorher gesagt hast, wird nicht wieder aufgenommen. Bis nirgends mehr etwas ist außer in versiegelten Sicherungen, aus denen es nicht zurückkommt, dauert es bis zu einem Tag. Die Betreiber können unter { $id } sagen, wie es steht.
privacy-opted-out = Aus dem, was du sagst, wird nichts mehr gelernt.
privacy-opted-in = Aus dem, was du sagst, darf wieder gelernt werden.

## Wo Ery dazukommt

greeting-hello = Hallo! Ich bin Ery. Ich antworte jedem, der mich erwähnt oder mir antwortet, und helfe, hier Ordnung zu halten: `/` zeigt meine Befehle.
greeting-all-there = Ich habe jedes Recht, das meine Werkzeuge brauchen.
greeting-nowhere = Hallo! Ich bin Ery und wurde auf deinen Server { $server } eingeladen. Dort gibt es keinen Kanal, in den ich schreiben darf: gib mir in einem die Rechte „{ $view }“ und „{ $send }“, und beginn dort mit `/ery einrichten`.
greeting-missing = Für manche meiner Werkzeuge fehlen mir Rechte; ohne sie tue ich alles andere: { $missing }.
greeting-low-role = Meine Rolle steht unter allen anderen, so dass ich auf niemanden einwirken kann, der eine hat: Schieb sie in den Servereinstellungen nach oben.
greeting-begin = Wer diesen Server verwaltet, kann wählen, wie ich anfange, und es jederzeit mit `/ery einstellungen` ändern:
greeting-more = Rollen und Kanäle…
greeting-status = Wie es steht

## Antworten

answer-planned = Das hatte { $person } geplant.
answer-prompt-not-answered = { $person }, was ich jetzt nach deinem Plan beantworten sollte, ist unbeantwortet geblieben.
answer-prompt-off = Hier ist eingestellt, dass ich niemandem antworte.
answer-prompt-ignored = Du hast eingestellt, dass ich dir hier nicht antworte.
answer-prompt-paused = Ich wurde hier angehalten, während ich daran arbeitete.
answer-cut = Meine Antwort wurde länger, als sie sein darf, und endet hier.

answer-messages-left-out = { $messages ->
    [one] Die älteste Nachricht
   *[other] Die { $messages } ältesten Nachrichten
} von dem, was ich hier lese, { $messages ->
    [one] passte
   *[other] passten
} nicht mehr hinein.

# Statt einer Antwort, oder unter einer.
answer-no-model = Entschuldigung, mein Sprachmodell antwortet gerade nicht, also muss ich das ohne Antwort lassen. Versuch es in einer Weile noch einmal.
answer-refused = Entschuldigung, dabei kann ich nicht helfen.
answer-out-of-steps = Entschuldigung, das brauchte mehr Schritte, als ich für eine Bitte gehen darf, also habe ich hier aufgehört. Bitte mich um ein kleineres Stück davon.
answer-out-of-tool-calls = Entschuldigung, das brauchte mehr Handlungen, als ich für eine Bitte tun darf, also habe ich hier aufgehört. Bitte mich um ein kleineres Stück davon.
answer-out-of-tokens = Entschuldigung, das wurde zu lang für eine Bitte, also habe ich hier aufgehört. Bitte mich um ein kleineres Stück davon.
answer-out-of-time = Entschuldigung, das dauerte länger, als ich an einer Bitte arbeiten darf, also habe ich hier aufgehört. Versuch es noch einmal.
answer-failed = Entschuldigung, bei mir ist etwas schiefgegangen, und ich konnte das nicht zu Ende bringen. Für die, die mich betreiben, ist es vermerkt.
answer-too-busy = Entschuldigung, hier wartet mehr auf mich, als ich annehmen kann, also muss ich { $messages ->
    [one] diese Nachricht
   *[other] die letzten { $messages } Nachrichten
} unbeantwortet lassen. Frag gleich noch einmal.
answer-keys-refused = Entschuldigung, ich muss das ohne Antwort lassen: { $keys }. Wer den Schlüssel eingerichtet hat, kann mir einen anderen geben.
answer-keys-and = { ", und " }
answer-key-trouble = { $trouble ->
    [not-accepted] der Anbieter nimmt den Schlüssel des Servers für { $provider } nicht an
    [no-credit] der Schlüssel des Servers für { $provider } hat kein Guthaben mehr
    [no-model] der Schlüssel des Servers für { $provider } hat keinen Zugang zu dem Modell, das ich verwende
   *[no-provider] der Schlüssel des Servers ist für den Anbieter { $provider }, den ich nicht habe
}
answer-answers = beantwortet { $links }
answer-answers-and-more = beantwortet { $links } und { $more } weitere
# Dahinter steht, was getan wurde, oder warum nicht; person ist eine Erwähnung, oder nichts.
answer-as-planned = { $person }, wie geplant:
answer-plan-not-done = { $person }, was du geplant hattest ({ $tool }), ist nicht geschehen.
answer-end-not-done = Was jetzt enden sollte ({ $tool }), ließ sich nicht beenden.
answer-as-approved = { $person }, wie freigegeben:
answer-approved-not-done = { $person }, was freigegeben war ({ $tool }), ist nicht geschehen.

## Was vorgeschlagen wird

# Eine Erwähnung, und ein Zeitpunkt, wie Discord ihn zeigt.
proposal-asked = { $asker } hat darum gebeten. Wer es selbst tun darf, kann es hier freigeben, bis { $until }.
proposal-approve = Freigeben
proposal-reject = Ablehnen
proposal-asker = Darum gebeten hat { $asker }.
proposal-approved = Freigegeben von { $by }.
proposal-rejected = Abgelehnt von { $by }.
proposal-expired = Niemand hat es rechtzeitig freigegeben.
proposal-revoked = Die Zugangsdaten, mit denen darum gebeten wurde, sind widerrufen.
proposal-withdrawn = Die Nachricht, die darum gebeten hat, ist gelöscht.
proposal-waits = Das wartet noch.

# Was es täte, als Überschrift.
act-ban = Ein Mitglied bannen
act-ban-many = Mehrere Leute bannen
act-unban = Einen Bann aufheben
act-kick = Ein Mitglied vom Server entfernen
act-lift-timeout = Das Timeout eines Mitglieds aufheben
act-timeout = Einem Mitglied ein Timeout geben
act-warn = Ein Mitglied verwarnen
act-give-role = Einem Mitglied eine Rolle geben
act-take-role = Einem Mitglied eine Rolle nehmen
act-create-role = Eine Rolle erstellen
act-change-role = Eine Rolle ändern
act-delete-role = Eine Rolle löschen
act-move-role = Eine Rolle verschieben
act-reset-permissions = Wieder den Rollen überlassen, was in einem Kanal eingestellt war
act-server-permissions = Ändern, was eine Rolle auf dem ganzen Server darf
act-channel-permissions = Ändern, wer in einem Kanal was darf
act-create-channel = Einen Kanal erstellen
act-change-channel = Einen Kanal ändern
act-move-channel = Einen Kanal verschieben
act-delete-channel = Einen Kanal löschen
act-send-message = Eine Nachricht senden
act-edit-message = Eine Nachricht von mir ändern
act-delete-message = Eine Nachricht löschen
act-unpin = Eine Nachricht lösen
act-pin = Eine Nachricht anpinnen
act-react = Auf eine Nachricht reagieren
act-take-all-reactions = Alle Reaktionen auf eine Nachricht wegnehmen
act-take-emoji-reactions = Alle Reaktionen mit einem Emoji wegnehmen
act-take-reaction = Eine Reaktion wegnehmen
act-send-dm = Eine Direktnachricht senden
act-create-invite = Eine Einladung erstellen
act-create-thread = Einen Thread beginnen
act-cancel-plan = Etwas Geplantes zurücknehmen
act-plan = Das später tun
act-answer = Dies hier beantworten: nachsehen, und sonst nichts tun
act-delete-messages = { $count } Nachrichten löschen

# Seine Teile, jeder vor dem, was er ist; hinter manchen steht, was weiter unten kommt.
part-with-a-frame = mit einem Rahmen
part-with-a-poll = mit einer Umfrage
part-with-a-file = mit einer Datei
part-with-a-sticker = mit einem Sticker
part-with-a-value = mit einem Wert
part-member = Mitglied
part-written-by = geschrieben von
part-it-answers = beantwortet
part-planned-by = geplant von
part-asked-for-in = verlangt in
part-channel = Kanal
part-in-the-category = in der Kategorie
part-right-above = direkt über
part-right-below = direkt unter
part-role = Rolle
part-message = Nachricht
part-which = welche
part-in-reply-to = als Antwort auf
part-for = für
part-valid-for = gültig für
part-slow-mode = Slow-Modus
part-open-for = offen für
part-permissions = Rechte
part-allowed = erlaubt
part-denied = verweigert
part-left-to-the-roles = den Rollen überlassen
part-colour = Farbe
part-until = bis
part-at = um
part-who-came = gekommen
part-shown-apart-from-others = getrennt von anderen angezeigt
part-may-be-notified-by-everybody = darf von allen benachrichtigt werden
part-only-for-adults = nur für Erwachsene
part-put-away = archiviert
part-locked = geschlossen
part-several-answers-may-be-chosen = mehrere Antworten können gewählt werden
part-out-of-its-category = aus seiner Kategorie heraus
part-only-for-as-long-as-they-stay-online = nur, solange sie online bleiben
part-another-one-than-there-is = eine andere als die, die es gibt
part-can-be-used = kann benutzt werden
part-text = Text
part-heading = Überschrift
part-small-text = kleiner Text
part-put-away-without-messages-for = archiviert ohne Nachrichten für
part-told-by = gesagt durch
part-to-be-seen-by = zu sehen für
part-kind = Art
part-with-what-they-wrote-in-the-last = mit dem, was sie zuletzt geschrieben haben, in
part-in = in
part-none-good = immer
part-none-for-ever = immer
part-none-off = aus
part-none-any-number-of-times = beliebig oft
part-is-channel = eine Nachricht im Kanal
part-is-dm = eine Direktnachricht
part-is-none = nichts: es wird nur aufgeschrieben
part-is-public = alle, die den Kanal sehen
part-is-private = die, die hinzugefügt werden
part-is-text = Text
part-is-voice = Sprache
part-is-category = Kategorie
part-is-announcement = Ankündigungen
part-is-stage = Stage
part-is-forum = Forum
part-reason = Grund
part-prompt = Auftrag
part-name = Name
part-id = Id
part-topic = Thema
part-position = Position
part-emoji = Emoji
part-tags = Tags
part-question = Frage
part-answers = Antworten
part-value = Wert
part-no-rights = keine
part-yes = ja
part-no = nein
part-members = { $count ->
    [one] { $count } Mitglied
   *[other] { $count } Mitglieder
}
part-notified = { $count ->
    [one] { $count } Person wird benachrichtigt
   *[other] { $count } Leute werden benachrichtigt
}
person-role = Rolle { $role }
person-no-role = keine Rolle
person-joined = seit { $at }
person-calls-themselves = nennt sich „{ $name }“
span-and = { " und " }
span-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
}
span-hours = { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
}
span-minutes = { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
span-seconds = { $count ->
    [one] { $count } Sekunde
   *[other] { $count } Sekunden
}

## Verwarnungen, die gegeben werden

warned-here = { $person }, du bist verwarnt
warned-on-server = Du bist verwarnt auf dem Server { $server }


## Was ausgegeben werden darf

# Stellen: wessen Budget es ist (member, channel, server, installation), und für wie lange (day, month).
budget-warned = { $percent } % dessen, was ich { $window ->
    [day] heute
   *[other] in diesem Monat
} { $scope ->
    [member] für dich
    [channel] in diesem Kanal
   *[other] auf diesem Server
} ausgeben darf, sind verbraucht.
budget-cheaper = Was ich { $window ->
    [day] heute
   *[other] in diesem Monat
} { $scope ->
    [member] für dich
    [channel] in diesem Kanal
    [server] auf diesem Server
   *[other] insgesamt
} ausgeben darf, ist verbraucht: ich mache mit einem einfacheren Modell weiter, das seine eigene Grenze hat.
# Der Zeitpunkt, zu dem es neu beginnt, wie Discord ihn zeigt.
budget-stopped = Was ich { $window ->
    [day] heute
   *[other] in diesem Monat
} { $scope ->
    [member] für dich
    [channel] in diesem Kanal
    [server] auf diesem Server
   *[other] insgesamt
} ausgeben darf, ist leider verbraucht. Ab { $until } antworte ich wieder.

usage-heading-day = Heute (UTC):
usage-heading-month = In diesem Monat (UTC):
usage-of-you = Du: { $spent }
usage-of-server = Dieser Server: { $spent }
usage-of-channel = Dieser Kanal: { $spent }
usage-of-person = { $person }: { $spent }
usage-of-place = { $place }: { $spent }
usage-of-model = { $model }: { $spent }
usage-nobody = Zusammenfassungen, und Menschen, die vergessen sind
# Wie viel: Dollar und Tokens.
# Wie viele Anfragen, steht zweimal: zum Zählen, und so, wie es geschrieben wird.
usage-spent = { $money }, { $tokens } Tokens in { $count ->
    [one] einer Anfrage an ein Modell
   *[other] { $turns } Anfragen an Modelle
}
usage-sum = { $money }, { $tokens } Tokens
usage-of-budget = (von { $budget })
usage-top-models = Nach Modell, in diesem Monat:
usage-top-channels = Kanäle, in diesem Monat:
usage-top-members = Mitglieder, in diesem Monat:
usage-assumed = { $money } davon sind mit einem angenommenen Preis gerechnet, weil ich den des Modells nicht kenne: Die Betreiber können ihn einstellen (`ai.prices`).
usage-on-own-key = { $money } davon gehen auf eigene Schlüssel dieses Servers.
usage-estimated = { $count ->
    [one] Eine Anfrage an ein Modell wurde abgebrochen und zählt mit dem, was sie höchstens gekostet haben kann.
   *[other] { $count } Anfragen an Modelle wurden abgebrochen und zählen mit dem, was sie höchstens gekostet haben können.
}
usage-summaries = Davon entfielen { $money } auf Zusammenfassungen von Kanälen ({ $tokens } Tokens).
usage-lost = { $count ->
    [one] Von einer Anfrage an ein Modell weiß niemand, was sie gekostet hat: Ihr Prozess ging verloren.
   *[other] Von { $count } Anfragen an Modelle weiß niemand, was sie gekostet haben: Ihr Prozess ging verloren.
}

## Rechte von Mitgliedern, wie Discord sie in seinen Einstellungen zeigt

right-view-channel = Kanäle ansehen
right-send-messages = Nachrichten senden
right-send-messages-in-threads = Nachrichten in Threads senden
right-read-message-history = Nachrichtenverlauf lesen
right-add-reactions = Reaktionen hinzufügen
right-use-external-emojis = Externe Emojis verwenden
right-use-external-stickers = Externe Sticker verwenden
right-moderate-members = Mitglieder in Timeout schicken
right-kick-members = Mitglieder kicken
right-ban-members = Mitglieder bannen
right-manage-messages = Nachrichten verwalten
right-manage-channels = Kanäle verwalten
right-manage-roles = Rollen verwalten
right-manage-guild = Server verwalten
right-manage-threads = Threads verwalten
right-manage-nicknames = Nicknames verwalten
right-manage-webhooks = Webhooks verwalten
right-manage-events = Events verwalten
right-create-events = Events erstellen
right-view-audit-log = Audit-Log einsehen
right-create-instant-invite = Einladung erstellen
right-create-public-threads = Öffentliche Threads erstellen
right-create-private-threads = Private Threads erstellen
right-embed-links = Links einbetten
right-attach-files = Dateien anhängen
right-mention-everyone = @everyone, @here und alle Rollen erwähnen
right-send-polls = Umfragen erstellen
right-pin-messages = Nachrichten anpinnen
right-bypass-slowmode = Slowmode umgehen
right-use-application-commands = Anwendungsbefehle verwenden
right-change-nickname = Nickname ändern
right-manage-guild-expressions = Ausdrücke verwalten
right-create-guild-expressions = Ausdrücke erstellen
right-mute-members = Mitglieder stummschalten
right-deafen-members = Ein- und Ausgabe von Mitgliedern deaktivieren
right-move-members = Mitglieder verschieben
right-connect = Verbinden
right-speak = Sprechen
right-administrator = Administrator
right-priority-speaker = Prioritätssprecher
right-stream = Video
right-send-tts-messages = Text-zu-Sprache-Nachrichten senden
right-view-guild-insights = Server-Einblicke anzeigen
right-use-vad = Sprachaktivierung verwenden
right-request-to-speak = Redeanfrage
right-use-embedded-activities = Aktivitäten verwenden
right-view-creator-monetization-analytics = Monetarisierungsanalysen anzeigen
right-use-soundboard = Soundboard verwenden
right-use-external-sounds = Externe Sounds verwenden
right-send-voice-messages = Sprachnachrichten senden
right-use-external-apps = Externe Apps verwenden
right-unknown = ein neueres Recht
