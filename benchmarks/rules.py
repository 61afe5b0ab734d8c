"""Rules of choosing a strategy by what every query scores under every strategy; each may keep the default.

values: [strategy, query]; default: its row; weights: of the queries, of sum 1; groups: of the queries, drawn together.
"""

from collections.abc import Callable

import numpy as np

from hiddenstates.retrieval.validation import clustered_error, shared_out

Rule = Callable[[np.ndarray, int, np.ndarray, np.ndarray, int], int]
DRAWS = 500


def keep(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
    return default


def best(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
    return int(np.argmax(values @ weights))


def one_error(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
    """The best, if it is above the default by more than the standard error of their difference."""
    row = best(values, default, weights, groups, seed)
    difference = values[row] - values[default]
    return row if weights @ difference > clustered_error(difference, weights, groups) else default


def cautious(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
    """The largest gain over the default less its standard error."""
    sums = _by_group(values - values[default], weights, groups)
    gains = sums.sum(1)
    errors = np.sqrt(np.square(sums - gains[:, None] / sums.shape[1]).sum(1))
    return int(np.argmax(gains - errors))


def validated(times: int, errors: float, inner: Rule = best) -> Rule:
    """What the inner rule takes, if that gains more than so many standard errors in five folds, shared out anew."""

    def rule(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
        total = np.zeros(values.shape[1])
        names = [str(group) for group in groups]
        for turn in range(times):
            fold_of = shared_out(names, seed + turn, 5)
            for fold in range(fold_of.max() + 1):
                inside = fold_of == fold
                seen = np.where(inside, 0.0, weights)
                row = inner(values, default, seen / seen.sum(), groups, seed)
                total[inside] += (values[row] - values[default])[inside] / times
        pays = weights @ total > errors * clustered_error(total, weights, groups)
        return inner(values, default, weights, groups, seed) if pays else default

    return rule


def reality(level: float, studentised: bool) -> Rule:
    """The best, if it beats the best of as many that gain nothing (White 2000; studentised: Hansen 2005)."""

    def rule(values: np.ndarray, default: int, weights: np.ndarray, groups: np.ndarray, seed: int) -> int:
        sums = _by_group(values - values[default], weights, groups)
        gains, n = sums.sum(1), sums.shape[1]
        scale = np.sqrt(np.square(sums - gains[:, None] / n).sum(1)) if studentised else np.ones(len(gains))
        scale = np.where(scale > 1e-12, scale, np.inf)
        hopeless = (
            gains / scale < -np.sqrt(2 * np.log(np.log(max(n, 3)))) if studentised else np.zeros(len(gains), bool)
        )
        drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)
        centred = sums @ drawn.T - np.where(hopeless, 0.0, gains)[:, None]
        largest = (centred / scale[:, None]).max(0)
        return (
            best(values, default, weights, groups, seed)
            if (gains / scale).max() > np.quantile(largest, level)
            else default
        )

    return rule


RULES: dict[str, Rule] = {
    "the published default": keep,
    "best on dev": best,
    "best, if above the default by 1 standard error": one_error,
    "largest gain less 1 standard error": cautious,
    "5 folds, gain above 0": validated(1, 0.0),
    "5 folds, gain above 1 standard error": validated(1, 1.0),
    "5 folds, gain above 2 standard errors": validated(1, 2.0),
    "5 folds 5 times, gain above 1 standard error": validated(5, 1.0),
    "largest gain less 1 standard error, if it gains 1 in 5 folds": validated(1, 1.0, cautious),
    "White's reality check, 95%": reality(0.95, False),
    "White's reality check, 80%": reality(0.80, False),
    "Hansen's SPA, 95%": reality(0.95, True),
    "Hansen's SPA, 80%": reality(0.80, True),
}


def _by_group(differences: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> np.ndarray:
    codes = np.unique(groups, return_inverse=True)[1]
    indicator = np.zeros((len(codes), codes.max() + 1))
    indicator[np.arange(len(codes)), codes] = weights
    return differences @ indicator
