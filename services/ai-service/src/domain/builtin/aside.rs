//! What stands beside a command and is none of it: who said it, that it is none, a signature.
//!
//! `ban @bob, he is spamming` has its reason behind a comma; `ban @bob, said the troll` only tells whose
//! words these are. So what is not begun by a word such as `because` is a reason only if it looks like
//! one, and whatever tells of a speaker, a joke or a test takes the whole back.

use super::{
    clause::{Clause, is_name, is_one_of, is_reason_word},
    duration,
    tokens::{Kind, Token},
};

/// Verbs that tell whose words these are.
const REPORTS: &str = "said|says|wrote|writes|replied|replies|quoth|quote|quoted|quoting|unquote|\
     claimed|claims|stated|states|shouted|yelled|screamed|whispered|muttered|mumbled|murmured|\
     exclaimed|announced|declared|insisted|suggested|suggests|proposed|demanded|commanded|\
     ordered|requested|begged|joked|quipped|remarked|commented|responded|responds|typed|tweeted|\
     texted|cited|cites|citing|sang|sings|spoke|spake|speaks|recited|echoed|chanted|noted|uttered|\
     thought|thinks|sagt|sagte|schrieb|schreibt|meint|meinte|antwortete|antwortet|fragte|\
     rief|zitat|zitiert|dit|disait|dijo|dice|escribió|disse|escreveu";

/// What tells so too, but begins or ends an honest sentence as well.
const SPEECH: &str = "say|saying|write|writing|written|reply|replying|quotes|told|tell|tells|\
     telling|asked|asks|asking|ask|answered|answers|answer|want|wants|wanted|according|via|\
     courtesy|credit|credits|signed|sincerely|laut";

/// What tells so only where nothing follows: `he posted`.
const ENDS_A_REPORT: &str = "told|asked|answered|want|wants|wanted|went|goes|posted|posts|types|\
     typing|comments|adds|added|repeated|repeats|asks|tells";

const JOKES: &str = "test|testing|tests|tested|ignore|ignoring|disregard|joke|joking|kidding|\
     jest|jesting|prank|pranking|sarcasm|sarcastic|sarcastically|irony|ironic|ironically|satire|\
     hypothetical|hypothetically|theoretically|rhetorical|rhetorically|example|sample|demo|\
     pretend|pretending|imagine|roleplay|roleplaying|rp|lyrics|song|fiction|fictional|dummy|psych|\
     psyche|sike|bluff|bluffing|jk|nvm|oops|whoops|fun|experiment|experimenting|practice|practising|\
     practicing|scherz|spaß|spass|witz|quatsch|ignorieren|broma|blague|undo|retract|retracted|\
     rescind|cancel|cancelled|canceled|copypasta";

/// What makes a wish or a guess of a sentence.
const UNSURE: &str = "would|could|should|might|may|maybe|perhaps|possibly|probably|hopefully|wish|\
     wait|haha|hahaha|hehe|heh|lmao|rofl|xd|s|imho|imo|wondering|supposedly|allegedly|if|unless";

const NEGATIONS: &str = "no|not|nope|nah|naw|nay|never|none|nobody|nothing|neither|nor|don't|dont|\
     nein|nicht|kein|keine|nie|niemals|doch|non|pas|nee|nem|нет|не";

/// What may stand around a bare negation.
const AROUND_A_NEGATION: &str = "way|thanks|of|course|obviously|absolutely|certainly|definitely|\
     today|really|haha|hahaha|lol|lmao|hell|god|just|i|we|you|do|did|didn't|please|wait|well|yet|\
     at|all|for|real|seriously|ever|or|but|so|oh|hm|hmm|um|actually|thank|chance|sir|good|kidding|\
     must|should|that|this|it|him|her|them|kk|ok|okay";

/// How a sentence that tells of somebody begins.
const TELLS_OF: &str = "he|she|they|he's|she's|they're|they've|hes|shes|theyre|er|sie";

const SOMEBODY: &str = "guy|user|member|person|account|dude|one|idiot|troll|spammer|kid|bot";

/// What whoever is spoken of fails to do: the only thing that a negation says without taking back.
const FAILS: &str = "stop|stopped|stops|listen|listened|listening|follow|following|behave|behaving|\
     care|learn|quit|respect|respecting|cease|apologise|apologize|stopping|obey|comply|reading|read";

/// Beginnings of the words by which people say what somebody did.
const MISDEEDS: &str = "spam|raid|scam|phish|flood|rude|insult|offens|offend|toxic|hate|hatred|racis|\
     sexis|nazi|fascis|homoph|transph|bigot|slur|swear|curs|cuss|profan|vulgar|obscen|abus|harass|\
     bully|bullied|bullies|threat|dox|nsfw|porn|gore|nude|nudi|lewd|explicit|advert|promo|link|\
     malware|virus|hack|compromis|cheat|exploit|evad|evas|imperson|caps|nois|disrupt|distract|derail|\
     off-topic|offtopic|spoiler|leak|drama|fight|aggress|hostil|creep|stalk|pedo|underage|illegal|\
     pirac|drug|weapon|violen|violat|rule|tos|guideline|warned|warning|strike|behav|conduct|\
     misconduct|misbehav|language|inactiv|annoy|disrespect|inappropriat|unwanted|suspicious|fraud|\
     lying|liar|bait|crypto|beleidig|hass|werb|betrug|stör|regel|calm|cooldown|fake|grief|ragebait|\
     misinformation|slander|stolen|stole|theft|steal|reports";

/// Why something is lifted.
const PARDONS: &str = "sorry|apolog|mistake|wrong|appeal|error|accident|forgiv|forgave|unfair|served|\
     misunder|innocent|enough|better|promis|mistaken";

const NO_DOING: &str = "something|nothing|anything|everything|thing|morning|evening|king|ring|\
     string|sing|bring|during|according|building|meaning|feeling|sibling|darling|being|going|\
     thinking|talking|reading|trying|copying|pasting|singing|paraphrasing";

const MISTAKES: &str = "by mistake|my bad|my mistake|misclick|misclicked|typo|wrong chat|\
     wrong channel|wrong server|wrong window|wrong person|wrong user|wrong one|wrong guy|\
     wrong account|by accident";

const SOURCES: &str = "according to|in the words of|words of|attributed to|as per|courtesy of|\
     credit to|credits to|end quote|end of quote|copied from|pasted from|taken from|copy paste|\
     put it|puts it|would say|would have it|not my words|not me|they say|people say|from the movie|\
     not an order|not a command|no order|not serious|not seriously|not for real|not really|\
     not actually|i quote|kein befehl";

const BEHIND_A_REPORT: &str = "so|it|that|this|me|us|you|to|here|there|earlier|before|yesterday|\
     today|once|again|lol|haha|in|chat|general|just|now|back|then|ago|anyway|too|loudly|angrily|\
     already|himself|herself|themselves|laughing|smiling|jokingly";

const BEFORE_A_REPORT: &str =
    "and|as|so|thus|like|or|but|well|then|just|at|least|here|also|lol|haha";

const EXPLICIT: &str =
    "because|cause|cuz|coz|cos|bc|bcs|since|for|over|due|about|reason|why|if|weil";

/// Returns whether words that no `because` announces are a reason. `is_lifting`: of a lifting.
pub(super) fn is_a_reason(at: Clause<'_>, is_lifting: bool) -> bool {
    let tokens = at.tokens();
    let Some(first) = tokens.first() else { return true };
    let is_sign = first.kind == Kind::Other && !first.low.starts_with("http");
    if is_sign || tokens.iter().any(|token| matches!(token.kind, Kind::Quote(_))) {
        return false;
    }
    let words = words_of(tokens);
    let is_doubted = words.iter().enumerate().any(|(index, word)| {
        let next = words.get(index + 1).copied().unwrap_or_default();
        let is_speech = is_one_of(word, REPORTS) || is_one_of(word, SPEECH);
        (is_speech && !next.starts_with("sorry") && !next.starts_with("apolog"))
            || is_one_of(word, JOKES)
            || is_one_of(word, UNSURE)
            || is_negation(word) && !is_failure(&words, index)
    });
    if is_doubted || has_any(&words, SOURCES) || !is_lifting && has_any(&words, MISTAKES) {
        return false;
    }
    let tells = words.len() > 1 && is_one_of(words[0], TELLS_OF)
        || words.len() > 2 && is_one_of(words[0], "this|that|the") && is_one_of(words[1], SOMEBODY);
    tells || words.iter().any(|word| is_a_deed(word) || is_lifting && begins(word, PARDONS))
}

/// Returns whether what is begun by `for` makes no earnest of the command: `for fun`, `for a test`.
pub(super) fn is_in_jest(at: Clause<'_>) -> bool {
    let words = words_of(at.tokens());
    let mut rest = words.iter().skip_while(|word| is_one_of(word, "a|an|the|just|some|only"));
    rest.next().is_some_and(|word| is_one_of(word, JOKES))
}

/// Returns whether a part of a message tells that the commands in it are somebody else's, or none.
pub(super) fn is_disowned(whole: Clause<'_>, only_lifts: bool) -> bool {
    let mut parts = Parts { rest: whole };
    let mut before: Option<Clause<'_>> = None;
    while let Some((part, is_behind_dash)) = parts.next_part() {
        let mut own = part;
        own.take_opening();
        let follows = before.is_some_and(|before| before.tokens().len() > 1);
        let is_command = own.begins_a_command();
        if !is_command && takes_back(part, before.is_some(), only_lifts) {
            return true;
        }
        let is_signed = is_behind_dash && follows && !is_command && !part.is_idle();
        if is_signed && duration::read(part).is_none() && is_lone_name(own.tokens()) {
            return true;
        }
        before = Some(own);
    }
    false
}

/// Returns whether anything is negated.
pub(super) fn has_negation(tokens: &[Token]) -> bool {
    words_of(tokens).into_iter().any(is_negation)
}

/// Returns whether these words can be a signature: names alone.
pub(super) fn is_lone_name(tokens: &[Token]) -> bool {
    (1..=3).contains(&tokens.len())
        && tokens.iter().all(|token| match token.kind {
            Kind::Member(_) | Kind::At => true,
            Kind::Word => {
                let word = token.low.as_str();
                is_name(word)
                    && !word.starts_with(|c: char| c.is_ascii_digit())
                    && !is_a_deed(word)
                    && !begins(word, PARDONS)
                    && !is_one_of(word, TELLS_OF)
                    && !is_one_of(word, "role|everybody|everyone|all|him|her|them|me")
            }
            _ => false,
        })
}

/// A message, part by part, as commas, dashes, brackets and the ends of sentences cut it.
struct Parts<'a> {
    rest: Clause<'a>,
}

impl<'a> Parts<'a> {
    /// Takes the next part, and tells whether a dash, a bracket or the like stands before it.
    fn next_part(&mut self) -> Option<(Clause<'a>, bool)> {
        let mut is_behind_dash = false;
        while let Some(token) = self.rest.peek().filter(|token| is_cut(token, self.rest)) {
            let sign = source(token, self.rest);
            is_behind_dash |= matches!(token.kind, Kind::Pause | Kind::Other) && !is_list(sign);
            self.rest.skip(1);
        }
        let tokens = self.rest.tokens();
        let length =
            tokens.iter().position(|token| is_cut(token, self.rest)).unwrap_or(tokens.len());
        let part = Clause::new(tokens.get(..length)?, self.rest.context());
        self.rest.skip(length);
        (length > 0).then_some((part, is_behind_dash))
    }
}

fn is_list(sign: &str) -> bool {
    matches!(sign, "," | "/" | "|")
}

fn is_cut(token: &Token, at: Clause<'_>) -> bool {
    match token.kind {
        Kind::Pause | Kind::End | Kind::Question => true,
        Kind::Other => {
            matches!(source(token, at), "~" | "<" | ">" | "[" | "]" | "{" | "}" | "=" | "^" | "\\")
        }
        _ => false,
    }
}

fn source<'a>(token: &Token, at: Clause<'a>) -> &'a str {
    at.context().text.get(token.start..token.end).unwrap_or_default()
}

/// Returns whether a part takes back what another one orders.
fn takes_back(part: Clause<'_>, is_later: bool, only_lifts: bool) -> bool {
    let words = words_of(part.tokens());
    if words.is_empty() {
        return false;
    }
    let is_short = words.len() <= 6;
    let is_jest = words.iter().any(|word| is_one_of(word, JOKES)) || words == ["s"];
    let is_no = words.iter().any(|word| is_negation(word))
        && words.iter().all(|word| is_negation(word) || is_one_of(word, AROUND_A_NEGATION));
    let is_mistake = !only_lifts && has_any(&words, MISTAKES);
    is_attribution(&words)
        || is_short && (is_jest || has_any(&words, SOURCES))
        || is_later && (is_no || is_mistake)
}

/// Returns whether words are `said the troll`, `the bot replied` or `bob told me so`.
fn is_attribution(words: &[&str]) -> bool {
    let begin = words.iter().position(|word| !is_one_of(word, BEFORE_A_REPORT));
    let Some((begin, first)) = begin.and_then(|begin| Some((begin, *words.get(begin)?))) else {
        return false;
    };
    if is_one_of(first, REPORTS)
        || has_any(&words[begin..], "according to|quoted from|written by|posted by|asked by")
    {
        return true;
    }
    let Some(verb) =
        words.iter().rposition(|word| is_one_of(word, REPORTS) || is_one_of(word, ENDS_A_REPORT))
    else {
        return false;
    };
    let is_reasoned = words[..verb].iter().any(|word| is_one_of(word, EXPLICIT));
    verb > 0 && !is_reasoned && words[verb + 1..].iter().all(|it| is_one_of(it, BEHIND_A_REPORT))
}

fn is_negation(word: &str) -> bool {
    is_one_of(word, NEGATIONS) || word.ends_with("n't")
}

/// Returns whether a negation tells what somebody fails to do: `he won't stop`, `not listening`.
fn is_failure(words: &[&str], at: usize) -> bool {
    let is_of_somebody = at == 0 || is_one_of(words[at - 1], TELLS_OF);
    let is_joined = words[at] == "not" && at > 1 && is_one_of(words[at - 2], TELLS_OF);
    let next = words.get(at + 1).copied().unwrap_or_default();
    (is_of_somebody || is_joined) && is_one_of(next, FAILS)
}

/// Returns whether a word says what somebody did: `spam`, `insulting`.
fn is_a_deed(word: &str) -> bool {
    let is_doing = word.len() > 4 && word.ends_with("ing") && !is_one_of(word, NO_DOING);
    let is_talk = is_one_of(word, REPORTS) || is_one_of(word, SPEECH) || is_one_of(word, JOKES);
    is_reason_word(word) || begins(word, MISDEEDS) || is_doing && !is_talk
}

fn begins(word: &str, beginnings: &str) -> bool {
    beginnings.split('|').any(|beginning| word.starts_with(beginning))
}

fn words_of(tokens: &[Token]) -> Vec<&str> {
    let words = tokens.iter().filter(|token| token.kind == Kind::Word);
    words.map(|token| token.low.as_str()).collect()
}

fn has_any(words: &[&str], phrases: &str) -> bool {
    phrases.split('|').any(|phrase| {
        let phrase: Vec<&str> = phrase.split(' ').collect();
        words.windows(phrase.len()).any(|window| window == phrase)
    })
}
