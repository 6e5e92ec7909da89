use twilight_model::id::{
    Id,
    marker::{MessageMarker, UserMarker},
};

use super::{
    request::{Problem, Target},
    tokens::{Kind, Token},
};

/// What a message says beside its text.
#[derive(Debug)]
pub(super) struct Context<'a> {
    /// The text that the tokens stand in.
    pub(super) text: &'a str,
    pub(super) quotes: &'a [String],
    pub(super) bot: Option<Id<UserMarker>>,
    /// The words of Ery's name, in lower case.
    pub(super) bot_name: &'a [String],
    pub(super) message: Id<MessageMarker>,
    pub(super) asker: Id<UserMarker>,
    pub(super) reply_to: Option<Id<MessageMarker>>,
    pub(super) reply_to_author: Option<Id<UserMarker>>,
}

/// A place in a sentence, to read on from. Copied to look ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clause<'a> {
    tokens: &'a [Token],
    context: &'a Context<'a>,
}

/// Words that begin a command, so that an `and` before them does not go on with a list.
const COMMAND_WORDS: &str = "timeout|timeouts|time-out|mute|silence|shush|gag|untimeout|un-timeout|unmute|un-mute|\
     unsilence|remove|lift|cancel|clear|undo|revoke|put|give|search|find|look|show|tell|\
     who|whois|who's|what|what's|summarise|summarize|recap|catch|react|add|send|say|post|\
     ban|unban|kick|warn|delete|purge|pin|unpin|dm|remind|lock|unlock|slowmode|rename|move|\
     deafen|schedule|create|nuke|help|list|write|let";

/// Words that can follow a name but are none.
const NOT_NAMES: &str = "a|an|the|this|that|these|those|it|its|is|are|was|were|be|been|am|isn't|wasn't|aren't|\
     has|have|had|hasn't|do|does|did|doesn't|didn't|will|won't|would|wouldn't|can|can't|\
     could|couldn't|should|shouldn't|may|might|must|of|on|in|at|to|by|from|with|about|for|\
     because|since|as|due|until|till|if|when|whenever|unless|once|after|before|while|or|\
     nor|but|and|then|than|vs|not|no|never|now|later|means|mean|meaning|works|work|feature|\
     features|command|commands|button|option|setting|settings|period|got|gets|get|sounds|\
     seems|looks|out|over|so|too|also|please|pls|plz|again|here|there|yes|ok|what|how|why|\
     where|asap|til|my|your|our|his|their|immediately|instantly|quickly|like|both|each|every|another";

/// Words for people that name nobody.
const NOBODY: &str = "people|person|someone|somebody|anyone|anybody|member|members|user|users|guy|guys|\
     folks|spammer|spammers|troll|trolls|noob|noobs|them|him|her|he|she|they|himself|\
     herself|themselves|who|whoever|us|kids|nobody|mods";

const EVERYBODY: &str = "everyone|everybody|all|here|channel|server";

const POLITE: &str = "please|pls|plz|plss|kindly|just|quickly|simply|now|also|then|immediately|instantly|\
     asap";

const INTERJECTIONS: &str = "hey|hi|hello|hiya|heya|yo|ok|okay|okey|alright|so|well|yes|yeah|yep|sure|fine|um|uh|\
     hm|hmm|oh|greetings|howdy|dear|sup|oi";

const TAIL: &str = "please|pls|plz|thanks|thank|you|thx|ty|cheers|now|right|immediately|asap|quickly|\
     instantly|ok|okay|mate|again|too|kindly|well|as|lol";

const TAIL_PHRASES: &str =
    "for me|for us|right now|right away|thank you|as well|at once|if you can|would you|will you";

/// How a clause began, before its command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Opening {
    /// `could you`, `I want you to`: a question mark makes it no less of an order.
    pub(super) is_request: bool,
    /// `don't`, `never`: whatever follows is forbidden.
    pub(super) is_negated: bool,
}

impl<'a> Clause<'a> {
    pub(super) fn new(tokens: &'a [Token], context: &'a Context<'a>) -> Self {
        Self { tokens, context }
    }

    pub(super) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    pub(super) fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    pub(super) fn is_done(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.first()
    }

    pub(super) fn kind(&self) -> Option<&'a Kind> {
        self.peek().map(|token| &token.kind)
    }

    /// Returns the word that comes next, in lower case.
    pub(super) fn word(&self) -> Option<&'a str> {
        self.word_at(0)
    }

    pub(super) fn word_at(&self, index: usize) -> Option<&'a str> {
        let token = self.tokens.get(index)?;
        (token.kind == Kind::Word).then_some(token.low.as_str())
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.tokens = self.tokens.get(count..).unwrap_or_default();
    }

    pub(super) fn after(mut self, count: usize) -> Self {
        self.skip(count);
        self
    }

    /// Returns whether one of `words`, such as `for|during`, comes next.
    pub(super) fn next_is(&self, words: &str) -> bool {
        self.word().is_some_and(|word| is_one_of(word, words))
    }

    /// Takes one of `words`.
    pub(super) fn take(&mut self, words: &str) -> bool {
        let is_taken = self.next_is(words);
        if is_taken {
            self.skip(1);
        }
        is_taken
    }

    /// Takes a row of words.
    pub(super) fn take_phrase(&mut self, phrase: &str) -> bool {
        let mut count = 0;
        for expected in phrase.split(' ') {
            if self.word_at(count) != Some(expected) {
                return false;
            }
            count += 1;
        }
        self.skip(count);
        true
    }

    /// Returns where to read on behind a row of words, if it stands here.
    pub(super) fn behind(mut self, phrase: &str) -> Option<Self> {
        self.take_phrase(phrase).then_some(self)
    }

    /// Takes the first of `phrases`, such as `who is|whois`, that stands here.
    pub(super) fn take_any(&mut self, phrases: &str) -> bool {
        phrases.split('|').any(|phrase| self.take_phrase(phrase))
    }

    /// Takes commas, dashes and the like.
    pub(super) fn take_pauses(&mut self) -> bool {
        let before = self.tokens.len();
        while matches!(self.kind(), Some(Kind::Pause | Kind::Colon | Kind::End)) {
            self.skip(1);
        }
        self.tokens.len() < before
    }

    /// Takes `and`, `then`, `&` and pauses before the next command.
    pub(super) fn take_connectors(&mut self) -> bool {
        let before = self.tokens.len();
        while matches!(self.kind(), Some(Kind::Pause | Kind::And))
            || self.next_is("and|then|also|plus|n")
        {
            self.skip(1);
        }
        self.tokens.len() < before
    }

    /// Returns what stands from here to where `until` begins.
    pub(super) fn until(&self, until: Clause<'a>) -> Self {
        let count = self.tokens.len().saturating_sub(until.tokens.len());
        Self { tokens: self.tokens.get(..count).unwrap_or_default(), ..*self }
    }

    /// Returns the text from here to where `until` begins, with quotes back in their place.
    pub(super) fn text_until(&self, until: Clause<'a>) -> String {
        self.text_of(self.until(until).tokens)
    }

    pub(super) fn text(&self) -> String {
        self.text_of(self.tokens)
    }

    /// Returns the text from here, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        self.source_of(self.tokens).lines().map(on_one_line).collect()
    }

    fn text_of(&self, tokens: &[Token]) -> String {
        on_one_line(&self.source_of(tokens))
    }

    /// Returns what the tokens stand for, as it was written.
    fn source_of(&self, tokens: &[Token]) -> String {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            return String::new();
        };
        let source = self.context.text.get(first.start..last.end).unwrap_or_default();
        let mut text = String::with_capacity(source.len());
        for character in source.chars() {
            match super::quoted::quote_index(character) {
                Some(index) => {
                    let quote = self.context.quotes.get(index).map_or("", String::as_str);
                    text.push_str(quote.trim());
                }
                None => text.push(character),
            }
        }
        text
    }

    /// Returns how many tokens at the start are Ery's name, if any.
    fn address(&self) -> Option<usize> {
        match self.kind()? {
            Kind::Member(id) => (Some(*id) == self.context.bot).then_some(1),
            Kind::At | Kind::Word => {
                let name = self.context.bot_name;
                let fits = !name.is_empty()
                    && name.iter().enumerate().all(|(index, word)| {
                        self.tokens.get(index).is_some_and(|token| {
                            let fits_kind =
                                token.kind == Kind::Word || index == 0 && token.kind == Kind::At;
                            fits_kind && token.low == *word
                        })
                    });
                fits.then_some(name.len())
            }
            _ => None,
        }
    }

    /// Takes the address, politeness and what else may stand before a command.
    pub(super) fn take_opening(&mut self) -> Opening {
        let mut opening = Opening::default();
        loop {
            if let Some(count) = self.address() {
                self.skip(count);
                // `Ery's …` is about her.
                self.take_pauses();
                continue;
            }
            if opening.is_request && self.take("not|never") {
                opening.is_negated = true;
                continue;
            }
            if self.take_any(
                "don't|dont|do not|don't you|never|no need to|stop|avoid|you don't need to|\
                 please don't|you shouldn't|you should not|you must not|rather not|\
                 better not|let's not|not|refrain from",
            ) {
                opening.is_negated = true;
                continue;
            }
            if self.take_any(
                "can you|could you|would you|will you|can u|could u|would u|can ya|\
                 i want you to|i need you to|i'd like you to|i would like you to|\
                 i order you to|i command you to|i ask you to|you must|you have to|\
                 be so kind and|be so kind as to",
            ) {
                opening.is_request = true;
                continue;
            }
            if self.take_any("go ahead and|do me a favour and|do me a favor and")
                || self.take(POLITE)
                || self.take(INTERJECTIONS)
            {
                continue;
            }
            let is_pause_after_nothing =
                matches!(self.kind(), Some(Kind::Pause | Kind::Colon | Kind::And | Kind::End));
            if is_pause_after_nothing || self.next_is("and") {
                self.skip(1);
                continue;
            }
            return opening;
        }
    }

    /// Leaves out what may stand behind a command: thanks, the address, `right now`.
    pub(super) fn without_tail(mut self) -> Self {
        loop {
            let count = self.tokens.len();
            let stands = |phrase: &&str| {
                let length = phrase.split(' ').count();
                count > length
                    && Self { tokens: &self.tokens[count - length..], ..self }.take_phrase(phrase)
            };
            let ends_with_phrase = TAIL_PHRASES.split('|').find(stands);
            let cut = if let Some(phrase) = ends_with_phrase {
                phrase.split(' ').count()
            } else {
                let Some(last) = self.tokens.last() else { return self };
                let is_idle = match &last.kind {
                    Kind::Pause | Kind::Colon | Kind::And | Kind::End | Kind::Question => true,
                    // "…, sorry" is said to Ery; "he said sorry" tells of somebody.
                    Kind::Word if last.low == "sorry" => {
                        count > 1 && self.tokens[count - 2].kind == Kind::Pause
                    }
                    Kind::Word => is_one_of(
                        &last.low,
                        "please|pls|plz|thanks|thx|ty|cheers|now|immediately|asap|kindly|lol",
                    ),
                    _ => false,
                };
                let name = self.context.bot_name.len().max(1);
                let before_name = count.saturating_sub(name);
                let ends_with_address = before_name > 0
                    && Self { tokens: &self.tokens[before_name..], ..self }.address() == Some(name);
                let ends_with_mention = count > 1
                    && matches!(&last.kind, Kind::Member(id) if Some(*id) == self.context.bot);
                if is_idle || ends_with_mention {
                    1
                } else if ends_with_address {
                    name
                } else {
                    return self;
                }
            };
            self.tokens = &self.tokens[..count - cut];
        }
    }

    /// Returns whether only idle words are left.
    pub(super) fn is_idle(&self) -> bool {
        self.tokens.iter().all(|token| match token.kind {
            Kind::Word => is_one_of(&token.low, TAIL) || is_one_of(&token.low, POLITE),
            Kind::Pause | Kind::Colon | Kind::And | Kind::End | Kind::Question => true,
            _ => false,
        })
    }

    /// Returns whether a command begins here, perhaps after politeness.
    pub(super) fn begins_a_command(mut self) -> bool {
        let opening = self.take_opening();
        opening.is_request
            || opening.is_negated
            || self.next_is(COMMAND_WORDS)
            || (self.word() == Some("time") && self.tokens.iter().any(|token| token.low == "out"))
    }

    /// Returns whether somebody is named here by mention or `@`.
    pub(super) fn begins_with_mention(&self) -> bool {
        matches!(self.kind(), Some(Kind::Member(_) | Kind::At | Kind::Role))
    }

    /// Takes somebody's name. `None`: nobody is named here.
    pub(super) fn take_target(&mut self) -> Option<Result<Target, Problem>> {
        let token = self.peek()?;
        let target = match &token.kind {
            Kind::Member(id) if Some(*id) == self.context.bot => Err(Problem::Myself),
            Kind::Member(id) => Ok(Target::Id(*id)),
            Kind::Role => Err(Problem::Role),
            Kind::At if self.address().is_some() => Err(Problem::Myself),
            Kind::At if is_one_of(&token.low, EVERYBODY) => Err(Problem::Everyone),
            Kind::At => Ok(Target::Name(self.name_of(token, 1))),
            Kind::Quote(index) => {
                let quote = self.context.quotes.get(*index)?;
                let quote = on_one_line(quote);
                if quote.is_empty() || quote.chars().count() > 64 {
                    return None;
                }
                Ok(Target::Name(quote))
            }
            Kind::Word => return self.take_named(),
            _ => return None,
        };
        self.skip(1);
        Some(target)
    }

    fn take_named(&mut self) -> Option<Result<Target, Problem>> {
        let word = self.word()?;
        if self.take_any("me|myself") {
            return Some(Ok(Target::Id(self.context.asker)));
        }
        if self.take_any("you|yourself") {
            return Some(Err(Problem::Myself));
        }
        if self.take_any("all of them|everyone|everybody|all|them all|the chat") {
            return Some(Err(Problem::Everyone));
        }
        if self.take_any(
            "him|her|them|this guy|that guy|this user|that user|this member|that member|\
             this person|that person|this one|that one",
        ) {
            let author = self.context.reply_to_author;
            let author = author.filter(|author| Some(*author) != self.context.bot);
            return Some(author.map(Target::Id).ok_or(Problem::Whom));
        }
        let mut ahead = *self;
        let is_announced = ahead.take_any("the member|the user|member|user");
        ahead.take_pauses();
        if is_announced && (ahead.begins_with_mention() || ahead.word().is_some_and(is_name)) {
            *self = ahead;
            return self.take_target();
        }
        if is_one_of(word, NOBODY) {
            self.skip(1);
            return Some(Err(Problem::Whom));
        }
        if self.address().is_some() {
            return Some(Err(Problem::Myself));
        }
        if !is_name(word) || super::duration::read(*self).is_some() {
            return None;
        }
        if (15..=20).contains(&word.len())
            && let Some(id) = word.parse().ok().and_then(Id::new_checked)
        {
            self.skip(1);
            return Some(Ok(Target::Id(id)));
        }
        let mut count = 1;
        while count < 3
            && self.word_at(count).is_some_and(|word| {
                is_name(word) && !ends_a_name(word) && !ends_possessive(self.word_at(count - 1))
            })
            && super::duration::read(self.after(count)).is_none()
        {
            count += 1;
        }
        let name = self.name_of(&self.tokens[count - 1], count);
        self.skip(count);
        Some(Ok(Target::Name(name)))
    }

    /// Returns the name that ends with `last`, as it was written.
    fn name_of(&self, last: &Token, count: usize) -> String {
        let first = &self.tokens[0];
        debug_assert!(count >= 1);
        let text = self.context.text.get(first.start..last.end).unwrap_or_default();
        let text = text.strip_prefix('@').unwrap_or(text);
        let text = on_one_line(text);
        let without_s = text.strip_suffix("'s").or_else(|| text.strip_suffix("’s"));
        without_s.map_or(text.clone(), str::to_owned)
    }

    /// Takes the `'s` behind a mention.
    pub(super) fn take_possessive(&mut self) {
        let is_apostrophe = |token: &Token| {
            token.kind == Kind::Other
                && matches!(self.context.text.get(token.start..token.end), Some("'" | "’"))
        };
        if self.tokens.first().is_some_and(is_apostrophe) && self.word_at(1) == Some("s") {
            self.skip(2);
        }
    }
}

/// Returns whether `words`, such as `for|during`, has the word.
pub(super) fn is_one_of(word: &str, words: &str) -> bool {
    words.split('|').any(|known| known == word)
}

/// Returns whether a word can be a name.
pub(super) fn is_name(word: &str) -> bool {
    let is_small_number = word.len() < 15 && word.bytes().all(|byte| byte.is_ascii_digit());
    !is_small_number && !is_one_of(word, NOT_NAMES)
}

/// Returns whether a word begins a reason.
pub(super) fn is_reason_word(word: &str) -> bool {
    is_one_of(
        word,
        "because|cause|cuz|coz|cos|bc|bcs|since|reason|reasons|spamming|spam|flooding|trolling|\
         swearing|insulting|raiding|advertising|scamming|harassing|bullying",
    )
}

/// Returns whether a word goes on behind a name, though it could be part of one.
fn ends_a_name(word: &str) -> bool {
    const GOES_ON: &str = "speak|talk|write|chat|during|say|said|wrote|post|posted|join|joined|\
         mention|mentioned|timed|timed-out|muted|timeout|duration|right";
    is_reason_word(word) || is_one_of(word, GOES_ON)
}

fn ends_possessive(word: Option<&str>) -> bool {
    word.is_some_and(|word| word.ends_with("'s"))
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a message of plain text says, for tests of what reads a clause of it.
#[cfg(test)]
pub(super) fn in_clause<T>(
    text: &str,
    bot_name: &[String],
    read: impl FnOnce(Clause<'_>) -> T,
) -> T {
    let tokens = super::tokens::tokenise(text);
    let context = Context {
        text,
        quotes: &[],
        bot: Id::new_checked(900),
        bot_name,
        message: Id::new(1),
        asker: Id::new(2),
        reply_to: None,
        reply_to_author: None,
    };
    read(Clause::new(&tokens, &context))
}
