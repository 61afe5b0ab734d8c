"""Where the sources of `facts.py` are stale, messy or disputed, and what we say instead. One table a kind."""

# Countries that no longer exist (CS, AN), and places without people of their own (AQ, BV, HM, TF, UM).
LEFT_OUT = frozenset({"AN", "AQ", "BV", "CS", "HM", "TF", "UM"})

# GeoNames writes these without their letters, with a stray blank, or by a name of its own.
NAMES = {
    "AX": "Åland Islands",
    "BL": "Saint Barthélemy",
    "BQ": "Bonaire, Sint Eustatius and Saba",
    "CW": "Curaçao",
    "NL": "Netherlands",
    "PN": "Pitcairn Islands",
    "RE": "Réunion",
    "ST": "São Tomé and Príncipe",
    "TL": "Timor-Leste",
    "VA": "Vatican City",
}

# Names that take an article inside a sentence.
WITH_ARTICLE = frozenset(
    {"AE", "AX", "BS", "CC", "CD", "CF", "CG", "CK", "DO", "FK", "FO", "GB", "GM", "IM", "KM", "KY"}
    | {"MH", "MP", "MV", "NL", "PH", "PN", "PS", "SB", "SC", "TC", "US", "VG", "VI"}
)

# Astana took its old name back in 2022; Ngerulmud, in the state of Melekeok, is the seat since 2006;
# the others have one but GeoNames leaves it empty. (Tokelau has none.)
CAPITALS = {"BQ": "Kralendijk", "KZ": "Astana", "PW": "Ngerulmud"}

# Bulgaria has the euro since 1 January 2026.
CURRENCIES = {"BG": ("EUR",)}

# Borders that GeoNames lists and no map shows as a country's land border (Guantánamo Bay is leased).
NOT_NEIGHBOURS = frozenset({("US", "CU"), ("CU", "US")})

# Whose the place is, or where its capital lies, is disputed: what is said of it is its source's, and says so.
DISPUTED = frozenset({"CY", "EH", "FK", "GS", "IL", "PS", "TW", "XK"})
AS_RECORDED = "As recorded in {source}, "
