"""DATA_CARD.md: what a bundle is, how it was made, how to use it and what it does not promise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dge_ray.phrases import code, escaped, finite, interval_text, number, one_line, ratio_text
from dge_ray.privacy.ledger import epsilons_of_others
from dge_ray.publishing.leaving import ENOUGH, told_group
from dge_ray.report.utility_page import MEANING, verdicts
from dge_ray.report.words.attack import attack_verdict
from dge_ray.report.words.study import meaning
from dge_ray.stats.comparison.baselines import METHODS
from dge_ray.stats.metrics.losses import label
from dge_ray.table.schema.identities import in_words, order_in_words
from dge_ray.table.schema.table_schema import TableSchema

FILE = "DATA_CARD.md"
MOST_GROUPS = 12
LEFT_OUT = (
    "Not told: it would be read off real rows outside the privacy ledger, and the guarantee below would not cover it."
)
UNSIGNED = (
    "Checksums show damage, and changes by somebody who did not rewrite them. Somebody who rewrites the checksums too "
    "is not found out: the bundle carries no signature. Compare the digest of SHA256SUMS with one that the publisher "
    "gives elsewhere."
)


@dataclass(frozen=True)
class About:
    """What a bundle's card and page tell of. Files that the study lacks, or that are not disclosed, are empty.

    `facts`: bundle.json. `disclosed`: whether numbers that were read off the real rows are given. `copies`: what came
    of looking for copies of real rows. `allowed`: what would have been refused. `date`: ISO 8601.
    """

    facts: Mapping[str, Any]
    schema: TableSchema
    settings: Sequence[tuple[str, Mapping[str, Any]]]
    description: str
    date: str
    disclosed: bool
    copies: str
    allowed: Sequence[str] = ()
    constraints: Sequence[str] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    utility: Mapping[str, Any] = field(default_factory=dict)
    ledger: Mapping[str, Any] | None = None
    attacks: Mapping[str, Any] = field(default_factory=dict)
    estimates: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.facts['study']}, synthetic"

    @property
    def cite(self) -> str:
        facts = self.facts
        return (
            f"{self.name} ({self.date[:4]}): {facts['members']} synthetic tables of {facts['rows_per_member']:,} rows, "
            f"bundle {facts['bundle']}, made with dge_ray {facts['version']}"
        )


def card(about: About) -> str:
    """The card as Markdown."""
    parts = [f"# {escaped(about.name)}\n\n{escaped(about.description)}"]
    parts += [f"## {title}\n\n{text}" for title, text in sections(about).items()]
    return "\n\n".join(parts) + "\n"


def sections(about: About) -> dict[str, str]:
    """The card's parts by title, as Markdown."""
    return {
        "What this is": _what(about),
        "What is told of each column": _told(about),
        "How it was made": _provenance(about),
        "How the members differ": _members(about),
        "How to use it": _use(about),
        "How many rows": _volume(about),
        "Is it good enough?": _utility(about),
        "Groups of few rows": _groups(about),
        "Privacy": _privacy(about),
        "Estimates with honest errors": _estimates(about),
        "Checking it": _checking(about),
        "Licence": f"{escaped(about.facts['licence'])}.\n\nCite as: {escaped(about.cite)}.",
    }


def _what(about: About) -> str:
    facts, schema = about.facts, about.schema
    kinds: dict[str, int] = {}
    for column in schema.columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    counted = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return (
        f"{facts['members']} synthetic tables (members) of {facts['rows_per_member']:,} rows and {len(schema.columns)} "
        f"columns ({counted}); the target is {code(str(schema.target))} ({schema.task}). Every row was drawn from a "
        "generator: none is a real row that was put here. Each file carries the mark `dge_ray.synthetic` in its "
        "Parquet schema, so that who trains on it again can know.\n\n"
        "`schema.json` has each column's kind, categories and bounds, as told below; `bundle.json` has the facts, "
        "`croissant.json` the description for machines."
    )


def _told(about: About) -> str:
    head = "Beside its name, type and precision, and the synthetic rows."
    if "differential_privacy" not in about.facts:  # else the schema was declared, and nothing is held back of it
        head += (
            f" Bounds that fewer than {ENOUGH} real rows have are moved outward to round numbers, and categories that "
            "one real row alone has are published as the commonest one."
        )
    lines = [
        f"- {code(one['column'])} ({one['kind']}): {escaped(one['tells'])}" for one in about.facts.get("discloses", [])
    ]
    between = [in_words(identity) for identity in about.schema.identities]
    between += [order_in_words(order) for order in about.schema.orders]
    if between:
        lines.append("\nBetween columns, found in the rows that the generators were fitted on and kept in these:\n")
        lines += [f"- {escaped(one_line(words))}" for words in between]
    return head + "\n\n" + "\n".join(lines)


def _provenance(about: About) -> str:
    facts = about.facts
    rows = f"on {facts['real_rows']:,} real rows" if about.disclosed else "on real rows, whose number is not told"
    lines = [f"Study {code(facts['study'])}, dge_ray {facts['version']}, published {about.date}."]
    fitted = [
        code(name) + (" with " + ", ".join(escaped(f"{key}={value}") for key, value in given.items()) if given else "")
        for name, given in ((name, _without_places(given)) for name, given in about.settings)
    ]
    lines.append(f"Generator: {' and '.join(fitted)}, fitted {rows}; each member is fitted anew.")
    if facts.get("refitted"):
        lines.append(
            "After the study had chosen and tested its members, these were fitted on all of its real rows with the "
            "same settings; every figure on this card is of the members that were tested."
        )
    if about.constraints:
        lines.append(f"Rows that break these rules were drawn anew: {'; '.join(map(code, about.constraints))}.")
    if facts.get("debiased"):
        names = ", ".join(map(code, facts["debiased"]))
        lines.append(f"Rows were debiased for {names}: intervals of these by sqrt(1 + k/n) hold, of others need not.")
    if about.report.get("synthetic_input"):
        before = about.report["synthetic_input"]
        share = f"{before['share']:.0%} of the rows that the generators were fitted on were synthetic"
        lines.append(f"{share}: this is generation {before['generation']}, if what they carried of it is right.")
    if about.allowed:
        lines.append(f"The publisher allowed what is refused otherwise: {', '.join(map(escaped, about.allowed))}.")
    return "\n\n".join(lines)


def _without_places(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings but for paths: where something lies on the publisher's machine is nobody's business."""
    return {key: value for key, value in settings.items() if not set(str(value)) & set("/\\")}


def _members(about: About) -> str:
    text = (
        "Each member has weights and random streams of its own, and all were fitted on the same real rows. What "
        "differs between members is the generators' error; what all have in common is in none of their differences."
    )
    apart = about.report.get("members_differ") or {}
    if apart:
        what = "squared predictions" if about.schema.task == "regression" else "test rows"
        text += f" Models trained on two members differ on {number(apart.get('disagreement'))} of the {what} "
        text += f"({interval_text(apart.get('interval'))})."
    return text


def _use(about: About) -> str:
    last = about.facts["members"] - 1
    splits = f'{{f"member_{{k:03d}}": f"member={{k:03d}}/*.parquet" for k in range({last + 1})}}'
    return (
        "**Combine across members; never pool their rows as if they were one sample.** Fit the model on each member, "
        "then average the predictions, or the estimates. The spread over members is the generators' own error. Rows "
        "put together look like a larger sample and give standard errors that are too small; and even one member's "
        "rows are no sample of real rows: naive tests on them reject true hypotheses too often. `dge_ray.pool` has the "
        "combining rules.\n\nIn the bundle's folder, without dge_ray (`partitioning=None` and "
        "`hive_partitioning = false`: the number in a folder's name is no column of the table):\n\n"
        '```python\nfrom pathlib import Path\n\nimport pandas as pd\n\nfolders = sorted(Path(".").glob("member=*"))\n'
        "members = [pd.read_parquet(folder, partitioning=None) for folder in folders]\n```\n\n"
        "```python\nimport duckdb\n\nmember = duckdb.sql(\n"
        "    \"select * from read_parquet('member=000/*.parquet', hive_partitioning = false)\"\n).df()\n```\n\n"
        '```python\nfrom pathlib import Path\n\nimport ray\n\nfolder = Path("member=000").resolve()\n'
        "member = ray.data.read_parquet(str(folder), partitioning=None)\n```\n\n"
        f"```python\nfrom datasets import load_dataset\n\nfiles = {splits}\n"
        'members = load_dataset("parquet", data_files=files)\n```\n\n'
        'With it:\n\n```python\nimport dge_ray\n\nmembers = dge_ray.load_members(".")  # all checked first\n```'
    )


def _volume(about: About) -> str:
    point = about.report.get("reflection_point") or {}
    if not point:
        return (
            LEFT_OUT if not about.disclosed else "The study has no reflection point: nobody looked for the best volume."
        )
    n, own = about.facts.get("real_rows"), about.facts["rows_per_member"]
    text = (
        f"The reflection point, the volume at which {code(str(about.report.get('learner')))} errs least on real "
        f"validation rows, is {number(point.get('volume'))} rows a member ({ratio_text(point.get('volume'), n)} the "
        f"real ones; interval {interval_text(point.get('interval'))}). Status {code(str(point.get('status')))}: "
        f"{meaning(about.report)}."
    )
    metric = label(str(about.report.get("metric")))
    text += f" There the {metric} on real test rows is {number(point.get('risk'))} "
    text += f"({interval_text(point.get('risk_interval'))}) for {number(point.get('members'))} members"
    real = ((about.report.get("test") or {}).get("real") or {}).get(about.report.get("metric"))
    text += f", and {number(real)} for {METHODS['real']}." if real is not None else "."
    return text + f" This bundle has {own:,} rows a member."


def _utility(about: About) -> str:
    if not about.utility:
        return LEFT_OUT if not about.disclosed else "Not examined (`dge-ray utility` had not been run)."
    lines = [
        f"- {code(name)}: **{one['verdict']}**: {MEANING[one['verdict']]}; synthetic minus real "
        f"{number(one['difference'], signed=True)} ({interval_text(one['interval'], signed=True)}), margin "
        f"{number(one['margin'])}"
        for name, one in verdicts(about.utility).items()
    ]
    head = (
        f"Risk of a model trained on one member ({number(about.utility['volume'])} rows) less that of one trained on "
    )
    return head + "the real rows, both on the same real test rows:\n\n" + "\n".join(lines)


def _groups(about: About) -> str:
    groups = about.report.get("subgroups") or []
    if not groups:
        return LEFT_OUT if not about.disclosed else "No groups of few rows were found, or none were looked for."
    lows = [((row.get("differences") or {}).get("real") or [None, None])[1] for row in groups]
    worse = [row for row, low in zip(groups, lows, strict=True) if finite(low) and low > 0]
    text = (
        "Generators know groups of few rows least. Take care with what you say of these (share of the real test rows): "
    )
    text += "; ".join(f"{_name(row, about)} ({100 * row['share']:.1f} %)" for row in groups[:MOST_GROUPS])
    text += f"; and {len(groups) - MOST_GROUPS} more." if len(groups) > MOST_GROUPS else "."
    if worse:
        names = "; ".join(_name(row, about) for row in worse[:MOST_GROUPS])
        text += f"\n\n**Worse than with real rows** (by an interval of each alone): {names}."
    return text


def _name(group: Mapping[str, Any], about: About) -> str:
    return code(told_group(group, about.schema, about.facts.get("real_rows")))


def _privacy(about: About) -> str:
    ledger, lines = about.ledger, [about.copies]
    if ledger is None:
        lines.insert(0, "**No formal guarantee.** The generators were fitted on the real rows without added noise.")
    else:
        spent = about.facts["differential_privacy"]
        lines.insert(
            0,
            f"**Differentially private**: epsilon {number(spent['epsilon'])}, delta {spent['delta']:.2g}, for all "
            f"members together. Tables count as neighbours so: {escaped(str(spent['adjacency']))}. Note: "
            f"{escaped(epsilons_of_others(ledger))}.\n\n"
            + "\n".join(f"- {_entry(one)}" for one in ledger.get("entries") or []),
        )
    if about.attacks:
        lines.append("Attacks on the members together, evidence and no guarantee:\n\n" + _attack_lines(about.attacks))
    else:
        lines.append("No attacks are reported.")
    return "\n\n".join(lines)


def _entry(one: Mapping[str, Any]) -> str:
    text = f"{one.get('what')}: {one.get('status')}" + (f" ({one['note']})" if one.get("note") else "")
    return escaped(text)


def _attack_lines(attacks: Mapping[str, Any]) -> str:
    lines = []
    for one in attacks.get("attacks") or []:
        rates = "; ".join(
            f"true positives at {float(rate):.1%} false ones {number(share[0])} ({interval_text(share[1:])})"
            for rate, share in (one.get("tpr_at_fpr") or {}).items()
        )
        auc = f"AUC {number(one.get('auc'))} ({interval_text(one.get('auc_interval'))})"
        said = [attack_verdict(one), auc, rates]
        lines.append(f"- {escaped(str(one.get('name')))}: " + "; ".join(filter(None, said)))
    return "\n".join([*lines, *(f"- limit: {escaped(text)}" for text in attacks.get("limits") or [])])


def _estimates(about: About) -> str:
    rows = about.estimates.get("estimands") or []
    if not rows:
        return LEFT_OUT if not about.disclosed else "The publisher declared none."
    lines = [
        f"- {code(str(one.get('name')))}: {number(one.get('debiased', one.get('estimate')))} "
        f"({interval_text(one.get('interval'))}); the members' mean is {number(one.get('estimate'))} "
        f"with standard error {number(one.get('se'))}, naively {number(one.get('se_naive'))}"
        for one in rows
    ]
    head = "From refits on resampled real rows (`estimates.json`)"
    off = ", less the bias that these show" if any("debiased" in one for one in rows) else "; no bias is taken off"
    return f"{head}{off}:\n\n" + "\n".join(lines)


def _checking(about: About) -> str:
    return (
        "`sha256sum -c SHA256SUMS` checks the files; `dge-ray verify .` checks that there is no other, that members, "
        f"rows and values are what `bundle.json` and `schema.json` say, and the metadata. {UNSIGNED}"
    )
