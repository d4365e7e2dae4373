"""What words mean: the one list, from which pages take their glossary and what stands behind a term."""

GLOSSARY = {
    "member": "one generator with its own weights and random streams, its synthetic rows, and the models trained "
    "on them; K is their number",
    "volume (m)": "synthetic rows per member",
    "ratio": "volume divided by n, the real rows that the generators were fitted on, or by the raw rows where those "
    "are others",
    "rows: augmented": "every model but real's and raw's learns from the raw rows too; at volume 0 from them alone",
    "surface R(K, m)": "risk on real rows of the ensemble of K members at volume m",
    "reflection point (m-hat)": "the volume at which the error is smallest, with its interval; interior, plateau, "
    "not_reached or undecided",
    "generational effect": "how the error changes with volume: it falls, then flattens or rises",
    "validation": "real rows on which K and m are chosen; with folds all that are not test, each predicted by fits "
    "that have not seen it",
    "folds": "of a cross-fitted study: a member is one generator a fold, fitted without the fold's rows",
    "test": "real rows that are read once, for this report",
    "DGE": "deep generative ensemble: one downstream model on each member's rows, predictions averaged",
    "naive single": "the mean over the models trained on one member alone",
    "naive ensemble": "as many learner seeds as members, all on the first member's rows",
    "naive concatenated": "one model on all members' rows put together",
    "raw": "the learner trained on the raw rows alone: real rows that no generator saw",
    "constant": "the class shares, or the mean, of the training rows: what a model must beat to be worth anything",
    "real rows, linear": "a linear learner trained on the n real rows that the generators saw",
    "real rows": "the learner trained on those n real rows; the mean over five seeds; of several learners the best "
    "on validation, as named",
    "all real rows": "that learner on all real rows that the synthetic side has used, to stop and to choose too",
    "real rows, ensemble": "as many fits as members, each on n real rows drawn anew, predictions averaged; of several "
    "learners the best on validation",
    "level": "the whole interval of the difference lies within the margin: 2 % of the best real-rows model's error, or "
    ".01 of a score between 0 and 1",
    "not told apart": "the interval holds 0, and more than the margin: the rows and members at hand cannot tell",
    "interval": "95 %, over new rows, members and fits given the real training rows; paired: both sides are measured "
    "on the same rows, so what they share cancels out",
    "margin": "a difference that would not matter: 2 % of the best real-rows model's error, or .01 of a score between "
    "0 and 1",
    "usefulness": "how well a model trained on synthetic rows does on real rows, against the best model on real rows",
    "fidelity": "how alike the laws of synthetic and of real rows are, whatever they are used for",
    "column error": "half the sum of the differences of shares (total variation), or the largest difference of the two "
    "distribution functions (Kolmogorov-Smirnov): 0 is the same, 1 nothing in common",
    "pair error": "the same of two columns together: total variation of their table, or half the difference of "
    "correlations",
    "two-sample AUC": "how well a classifier tells two tables' rows apart: .5 is by chance, 1 always",
    "log loss": "minus the mean log of the probability given to what was true",
    "Brier score": "mean squared difference of the probabilities and what was true, summed over classes",
    "AUC": "the chance that a row of the class gets a higher score than one that is not of it",
    "RMSE": "root of the mean squared error, in the target's unit",
}
# Words of plain English too: a term only where a table's row goes by it.
ONLY_AS_NAMES = {"test", "level", "raw", "constant", "folds", "real rows", "rows: augmented", "validation", "margin"}


def terms() -> dict[str, str]:
    """Meaning by term as it stands in a sentence, without what is in brackets behind it."""
    return {word.partition(" (")[0]: text for word, text in GLOSSARY.items() if word not in ONLY_AS_NAMES}
