"""How questions are worded. A place stands for a name, for a flag, or for a way round: "the country whose …"."""

QUESTIONS = {
    "capital": ("What is the capital of {place}?", "Which city is the seat of {place}?", "Capital city of {place}"),
    "currency": (
        "What is the currency of {place}?",
        "Which money do people use in {place}?",
        "How does one pay in {place}?",
    ),
    "languages": (
        "Which languages are official in {place}?",
        "What do people speak in {place}?",
        "Official language of {place}",
    ),
    "neighbours": (
        "Which countries border {place}?",
        "What are the neighbours of {place}?",
        "Who shares a land border with {place}?",
    ),
    "population": ("How many people live in {place}?", "What is the population of {place}?", "Inhabitants of {place}"),
    "codes": (
        "What are the ISO 3166 codes of {place}?",
        "Which three letters stand for {place} in ISO 3166?",
        "Country code of {place}, with two or three letters",
    ),
    "telecom": (
        "What is the dialling code of {place}?",
        "How does one telephone to {place} from abroad?",
        "Top-level internet domain of {place}",
    ),
    "time": ("In which time zone is {place}?", "What time do clocks keep in {place}?", "Time zones of {place}"),
    "subdivisions": (
        "How is {place} divided for administration?",
        "What are the regions or provinces of {place}?",
        "Administrative subdivisions of {place}",
    ),
    "city": (
        "How large is {place}?",
        "Where does {place} lie?",
        "Population of {place}",
        "How far from its capital is {place}?",
    ),
}

FLAGS = ("the country with this flag", "the country that flies this flag", "the place this flag belongs to")

BRIDGES = {
    "capital": ("the country whose capital is {clue}", "the place governed from {clue}"),
    "telecom": ("the country with the dialling code {clue}", "the place one calls under {clue}"),
    "city": ("the country where the city of {clue} lies", "the country that {clue} is a city of"),
}

ALIASES = ("{alias}", "Where is {alias}?", "What is known about {alias}?")

DESCRIPTIONS = ("Which country {facts}?", "A country that {facts}", "Name the place that {facts}.")
