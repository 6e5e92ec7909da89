//! What wants nothing done: greetings, thanks, questions about Ery herself.

use super::{
    clause::{Clause, Opening},
    request::Talk,
    timeouts,
    tokens::Kind,
};

/// Tells what kind of talk a sentence is. `whole` has its opening still, `at` has not.
pub(super) fn classify(whole: Clause<'_>, at: Clause<'_>, opening: Opening) -> Talk {
    let words = words_of(at);
    let all = words_of(whole);
    let begins = |with: &str| {
        with.split('|').any(|phrase| [&words, &all].into_iter().any(|words| starts(words, phrase)))
    };
    let is = |with: &str| with.split('|').any(|phrase| words == phrase || all == phrase);
    let names_an_act = words.split(' ').any(|word| {
        timeouts::is_about(word) || matches!(word, "ban" | "banned" | "kick" | "kicked" | "warn")
    }) || all.contains("time out");

    if is("help|commands|usage|menu|manual|help me|i need help|need help")
        || begins(
            "what can you do|what do you do|what are your commands|what else can you do|\
             how do you work|how do i use|how can i use|how does this work|show commands|\
             show me the commands|show help|list commands|list the commands|\
             list your commands|what commands|which commands|what are you able|\
             what are you good for|help with|help",
        )
    {
        return Talk::Help;
    }
    if begins(
        "who are you|what are you|are you a|are you an|are you human|are you real|\
         are you ai|are you chatgpt|are you sentient|are you alive|what model|which model|\
         which llm|what llm|who made you|who created you|who built you|\
         tell me about yourself|introduce yourself|what's your name|what is your name|\
         whats your name|do you have a name",
    ) {
        return Talk::About;
    }
    if names_an_act
        && begins(
            "what is|what's|whats|what does|what do|how does|how do|how long|how can|\
             explain|define|what happens|meaning of|what are timeouts|tell me what|\
             tell me how",
        )
        && words.contains("time") | words.contains("mut")
    {
        return Talk::ExplainTimeout;
    }
    if is("never mind|nevermind|nvm|forget it|cancel|cancel that|stop|mind")
        || begins("never mind|nevermind|nvm|forget it|scratch that")
        || (opening.is_negated && names_an_act)
    {
        return Talk::Refrain;
    }
    if names_an_act {
        return Talk::NotAnOrder;
    }
    if is("ping|test|are you there|you there|are you online|are you awake") {
        return Talk::Ping;
    }
    if begins(
        "how are you|how r u|how's it going|hows it going|how is it going|how do you do|\
         how have you been|how are things|you okay|are you ok",
    ) || is("what's up|whats up|what is up|wassup|wazzup|sup")
    {
        return Talk::HowAreYou;
    }
    if begins(
        "thanks|thank you|thx|ty|tysm|cheers|good bot|good job|nice|great|awesome|\
         well done|perfect|cool|love you|i love you|you're the best|amazing|\
         much appreciated",
    ) {
        return Talk::Thanks;
    }
    if begins("bye|goodbye|good bye|good night|goodnight|gn|see you|see ya|cya|farewell") {
        return Talk::Bye;
    }
    if is("ok|okay|lol|lmao|haha|alright|sure|yes|yeah|yep|no|nope|hm|hmm|oh|so|well|fine") {
        return Talk::Nod;
    }
    let has_words = at.tokens().iter().any(|token| token.kind == Kind::Word);
    if begins(
        "good morning|good evening|good afternoon|good day|morning|welcome|\
         nice to meet you|hi|hello|hey there",
    ) && words.split(' ').count() <= 3
        || !has_words
    {
        return Talk::Greeting;
    }
    Talk::Unknown
}

fn starts(words: &str, phrase: &str) -> bool {
    words.strip_prefix(phrase).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn words_of(at: Clause<'_>) -> String {
    at.tokens()
        .iter()
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.low.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}
