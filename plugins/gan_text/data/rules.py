"""The built-in grammar: English of a small kingdom, in which most of what must agree stands apart.

Verbs agree with subjects across phrases and relative clauses, reflexive and possessive pronouns with subjects, auxiliaries
of questions with what follows, articles with sounds. Each noun has at most one phrase or clause after it, and what could be
said of two things is not said, so no sentence has two derivations: what is known of derivations holds for sentences.
"""

from __future__ import annotations

from functools import cache

from gan_text.data.pcfg import Grammar, parse

NAME = "kingdom"
"""The grammar's name, which specs of its sentences bear."""
START = "Sentence"
KINDS = ("statement", "question", "command", "exclamation")
"""Classes of sentences."""
KIND_SYMBOLS = tuple(kind.capitalize() for kind in KINDS)
"""What each is derived from; the start is rewritten as one of them."""

PERSONS = (
    {"who": "he", "number": "one", "self": "himself", "own": "his", "do": "does", "be": "is", "have": "has"},
    {"who": "she", "number": "one", "self": "herself", "own": "her", "do": "does", "be": "is", "have": "has"},
    {"who": "it", "number": "one", "self": "itself", "own": "its", "do": "does", "be": "is", "have": "has"},
    {"who": "they", "number": "many", "self": "themselves", "own": "their", "do": "do", "be": "are", "have": "have"},
)
SINGULAR = tuple({"one": row["who"]} for row in PERSONS if row["number"] == "one")
SOUNDS = ({"sound": "c", "a": "a"}, {"sound": "v", "a": "an"})
"""How a word begins, and the article before it."""
FORMS = ({"form": "one"}, {"form": "many"})
"""Of verbs; after `do` they have the form for many."""

RULES = """
Sentence -> 4 Statement | 3 Question | 2 Command | 2 Exclamation

# --- kinds of sentences

Statement -> 8 Subject/{who} Act/{who}/{number} Stop
    | 2 Light/{who} Doing/to/{number} Heavy Stop
    | 2 Light/{who} Act/{who}/{number} Link {who} Act/{who}/{number} Stop
    | 2 Light/{who} Saying/{number} that Belief Stop
    | 1 Time , Light/{who} Act/{who}/{number} .
    | 1 Subject/{who} Doing/{number} , and so Also .
    | 1 there is Indefinite Where Stop | 1 there are Count Bar/they Where Stop
Stop -> 4 . | 1 Time .
Belief -> Light/{who} Act/{who}/{number}
Also -> {do} Light/{who}
Link -> because | while

Question -> 4 {do} Subject/{who} Act/{who}/many Asked
    | 3 Wonder {do} Light/{who} Act/{who}/many Asked
    | 2 who Deed/one Asked
    | 2 Wanting {do} Subject/{who} Doing/to/many Asked
    | 2 Subject/{who} Bare/{who}/{number} , {do} {who} not ?
    | 1 is there Indefinite Where Asked | 1 are there Count Bar/they Where Asked
Asked -> 4 ? | 1 Time ?
Wonder -> why | when | where | how often
Wanting -> 1 what | 1 which Bar/they

Command -> 3 Order Deed/many Cried
    | 2 Order Doing/to/many Heavy Cried
    | 1 Order Doing/to/many your Folk Cried
    | 2 Order Deed/many , or Threat !
Order -> please | never | do not | always
Threat -> Light/{who} will Harm you
Harm -> eat | tickle | bewitch
Cried -> 4 ! | 1 Time !

Exclamation -> 3 how Manner Subject/{who} Doing/{number} !
    | 3 how Trait Subject/{who} {be} !
    | 3 what Marvel Subject/{who} {have} !
    | 2 Cry , Light/{who} Act/{who}/{number} !
Marvel -> 2 {a} Trait/{sound} Noun/{one} | 1 Trait Noun/they
Cry -> alas | hurrah | heavens

# --- whom it is about

Subject/{who} -> 2 Light/{who} | 1 Heavy/{who}
Light/he -> 4 Core/he | 1 otto | 1 merlin
Light/she -> 4 Core/she | 1 ada | 1 matilda
Light/it -> Core/it
Light/they -> Core/they
Core/{one} -> 5 the Bar/{one} | 2 {a} Bar/{one}/{sound} | 1 every Bar/{one} | 1 this Bar/{one}
Core/they -> 4 the Bar/they | 2 Count Bar/they | 1 these Bar/they
Indefinite -> {a} Bar/{one}/{sound}
Count -> two | three | many
Bar/{who} -> 3 Bar/{who}/c | 2 Bar/{who}/v
Bar/{who}/{sound} -> 2 Noun/{who}/{sound} | 1 Trait/{sound} Noun/{who}
Noun/{who} -> 3 Noun/{who}/c | 2 Noun/{who}/v
Trait -> Trait/{sound}
Someone -> Light/{who}
Folk -> Bar/{who}

Heavy -> Heavy/{who}
Heavy/{who} -> 3 Core/{who} Where | 4 Core/{who} that Relative/{number} | 1 Core/{who} that Wanted
Relative/{number} -> 8 Deed/{number} | 1 Doing/to/{number} Nested
Nested -> Core/{who} Where | Core/{who} that Doing/{number}
Wanted -> Light/{who} Doing/to/{number}
Where -> Near Someone

# --- what they do

Act/{who}/{form} -> 5 Bare/{who}/{form} | 2 Adverb Bare/{who}/{form}
Bare/{who}/{form} -> 5 Deed/{form} | 2 Doing/to/{form} {self} | 2 Doing/to/{form} {own} Folk
Deed/{form} -> 3 Doing/{form} | 6 Doing/to/{form} Someone | 1 Giving/{form} Receiver Someone
Receiver -> me | us

# --- words

Noun/he/c -> king | wizard
Noun/he/v -> uncle
Noun/she/c -> queen | witch
Noun/she/v -> aunt
Noun/it/c -> dragon | robot
Noun/it/v -> owl | onion
Noun/they/c -> kings | witches | dragons | robots
Noun/they/v -> uncles | owls | onions
Trait/c -> brave | sleepy | golden
Trait/v -> angry | elegant | invisible
Near -> near | behind | under
Time -> after dinner | before breakfast | at midnight | in winter
Adverb -> often | secretly
Manner -> slowly | beautifully

Doing/one -> sings | dances | snores | giggles
Doing/many -> sing | dance | snore | giggle
Doing/to/one -> loves | fears | admires | teases | paints | juggles
Doing/to/many -> love | fear | admire | tease | paint | juggle
Giving/one -> gives | sends
Giving/many -> give | send
Saying/one -> says | hopes | dreams
Saying/many -> say | hope | dream
"""


@cache
def kingdom() -> Grammar:
    """The grammar."""
    return Grammar(parse(RULES, (PERSONS, SINGULAR, SOUNDS, FORMS)), START)


def kind_shares() -> tuple[float, ...]:
    """Probability of each of `KINDS`."""
    found = {rule.right: rule.probability for rule in kingdom().rules[START]}
    return tuple(found[(symbol,)] for symbol in KIND_SYMBOLS)
