import pandas as pd
from tiny import pooled_states

from hiddenstates.core.joined import parse
from hiddenstates.report import frontier
from hiddenstates.retrieval.choosing.limits import Limits

SCORES = pd.Series(
    {
        "0/mean": 0.2,
        "1/mean": 0.5,
        "2/mean": 0.5,
        "sum(0,1)/mean": 0.4,
        "concat(0,1)/mean": 0.6,
        "concat(0,1,2)/mean": 0.55,
        "sum(1,3)/mean+ln": 0.7,
    }
)


def test_the_cheapest_first_and_what_is_kept_whatever_it_costs() -> None:
    scores = pd.Series({"0/mean": 0.2, "1/mean": 0.5, "2/mean+pca4": 0.45, "concat(0,1)/mean": 0.6, "2/mean": 0.1})
    rows = frontier.priced(scores, pooled_states(3), [parse("2/mean")])
    assert rows.index.tolist() == ["2/mean+pca4", "0/mean", "1/mean", "2/mean", "concat(0,1)/mean"]
    assert rows["bytes"].tolist() == [16, 32, 32, 32, 64]
    assert rows["layers"].tolist() == [2, 0, 1, 2, 1]
    assert rows["dev"].tolist() == [0.45, 0.2, 0.5, 0.1, 0.6]


def test_the_leading_are_the_best_of_each_cost_and_the_best_of_all() -> None:
    found = [str(one) for one in frontier.leading(SCORES, pooled_states(4), parse("2/mean"))]
    assert found[0] == "2/mean"
    assert set(found) == {"2/mean", "0/mean", "concat(0,1)/mean", "sum(1,3)/mean+ln", "concat(0..2)/mean", "1/mean"}


def test_of_each_cost_the_best_and_none_that_costs_more_for_less() -> None:
    rows = frontier.priced(SCORES, pooled_states(4))
    assert rows.index.tolist() == ["0/mean", "sum(1,3)/mean+ln", "concat(0,1)/mean"]
    assert rows["layers"].tolist() == [0, 3, 1]
    assert rows["bytes"].tolist() == [32, 32, 64]


def test_the_cheapest_that_dev_shows_to_be_equivalent_is_named() -> None:
    rows = pd.DataFrame(
        {"layers": [2, 1, 3], "bytes": [256, 1536, 3072], "dev": [0.5, 0.55, 0.6]},
        index=["2/mean+pca64", "1/mean", "concat(1,3)/mean"],
    )
    verdicts = pd.DataFrame({"difference": -0.003, "low": -0.008, "high": 0.002}, index=rows.index[:2])
    dev, test = verdicts.assign(verdict=["equivalent", "worse"]), verdicts.assign(verdict=["undecided", "worse"])
    said = frontier.shortest(rows, dev, test, "concat(1,3)/mean")
    fewest, layers = said.split(" **Fewest layers run**")
    assert fewest == (
        "**Fewest bytes per passage**: `2/mean+pca64` (2 layers, 256 bytes) is equivalent on dev to its best, "
        "`concat(1,3)/mean` (3 layers, 3,072 bytes); on test -0.003 [-0.008, +0.002], undecided."
    )
    assert layers.startswith(": `2/mean+pca64` (2 layers, 256 bytes) is equivalent")
    nothing = frontier.shortest(rows, dev.assign(verdict="undecided"), test, "concat(1,3)/mean")
    assert nothing.count("dev shows nothing cheaper to be equivalent to its best") == 2


def test_learned_weights_are_named_short_in_the_sentence() -> None:
    learned = "sum(1*0.5,2*0.25)/mean"
    rows = pd.DataFrame({"layers": [1, 2], "bytes": [1536, 3072], "dev": [0.5, 0.6]}, index=["1/mean", learned])
    row = {"difference": -0.003, "low": -0.008, "high": 0.002, "verdict": "equivalent"}
    against = pd.DataFrame.from_dict({"1/mean": row}, orient="index")
    assert "to its best, `weighted(1,2)/mean` (2 layers" in frontier.shortest(rows, against, against, learned)


def test_the_limits_and_a_default_beyond_them_are_said() -> None:
    passages = pooled_states(3)
    assert frontier.limited(Limits(), parse("2/mean"), "published embedding", passages) == ""
    said = frontier.limited(Limits(2, 64), parse("2/mean"), "published embedding", passages)
    assert said == "**Limits**: what is chosen takes at most 2 layers and at most 64 bytes per passage."
    beyond = frontier.limited(Limits(layers=1), parse("2/mean"), "published embedding", passages)
    assert beyond.endswith("The published embedding takes 2 layers and 32 bytes: it is only what is compared with.")
