"""generator=auto: which generators a pilot tries on a table, and what of a study's price that may be."""

from dataclasses import dataclass, replace

from dge_ray.errors import InputError
from dge_ray.stats.volume.refine import most_volumes
from dge_ray.study.choices import AUTO, GeneratorChoice
from dge_ray.study.config import StudyConfig
from dge_ray.study.pilot.price import fit_price, member_price, study_price
from dge_ray.study.prepared import Prepared

MEMBERS = 2  # of each candidate
MOST_SHARE = 0.3  # of the study's planned fits, and of its predicted price
FEW_ROWS = 2_000  # below, diffusion is tried too: it takes long, and wins on small tables if anywhere


@dataclass(frozen=True)
class Candidate:
    """Generators that a study's members would take in turn."""

    name: str
    generators: tuple[GeneratorChoice, ...]

    def fit(self, member: int) -> tuple[str, int]:
        """Which fit its member is: of which candidate with one generator, and which member of it."""
        choice = self.generators[member % len(self.generators)]
        return next(one.name for one in CANDIDATES if one.generators == (choice,)), member


_TREES, _NETWORK = GeneratorChoice(name="trees"), GeneratorChoice(name="autoregressive")
_BOOSTED = GeneratorChoice(name="trees", settings={"target": "boosted"})
CANDIDATES = (  # in the order in which they are tried: the last are left out where a study is small
    Candidate("trees", (_TREES,)),
    Candidate("autoregressive", (_NETWORK,)),
    Candidate("trees-boosted", (_BOOSTED,)),
    Candidate("mixed", (_NETWORK, _TREES)),  # these two are of fits that the others have
    Candidate("mixed-boosted", (_NETWORK, _BOOSTED)),
    Candidate("diffusion", (GeneratorChoice(name="diffusion"),)),
)
# Which is chosen of those that validation cannot tell apart. Two kinds whose members err apart come first: they were
# the best or near it wherever they were tried. The others stand by how far they were from the best at their worst.
PREFERRED = ("mixed-boosted", "autoregressive", "trees-boosted", "mixed", "trees", "diffusion")


@dataclass(frozen=True)
class PilotPlan:
    """What a pilot fits: `candidates` at `volume` rows a member. `planned`: fits of the study, at least; `left_out`: a
    line for each generator that is not tried.

    In CPU-seconds, as predicted: `seconds` of the pilot, and `price` of the study with it, if the cheapest is chosen.
    """

    candidates: tuple[Candidate, ...]
    volume: int
    planned: int
    left_out: tuple[str, ...]
    seconds: float = 0.0
    price: float = 0.0

    @property
    def fits(self) -> tuple[tuple[str, int], ...]:
        """Each fit once: the name of a candidate with one generator, and a member. None where there is no choice."""
        return _fits(self) if len(self.candidates) > 1 else ()

    @property
    def share(self) -> float:
        """What of the study the pilot is: in fits or in predicted CPU-seconds, the larger of the two."""
        return max(len(self.fits) / self.planned, self.seconds / self.price if self.fits else 0.0)


def is_auto(config: StudyConfig) -> bool:
    """Whether a pilot is to choose the generator.

    Raises:
        InputError: auto does not go with other keys.
    """
    if AUTO not in (name for name, _ in config.generators):
        return False
    (_, settings), *others = config.generators
    if others:
        raise InputError("generator", "auto among others", "auto alone, or the names of generators")
    for key in settings:
        raise InputError(f"generator.{key}", "a setting of auto", "none: a pilot compares generators at their defaults")
    if config.private:
        takes = "a generator's name with privacy.epsilon: a choice on the data would spend privacy that is not counted"
        raise InputError("generator", "'auto' in a private study", takes)
    if config.pretrained:
        raise InputError("generator", "'auto' with pretrained", "the name of the generator that was saved")
    return True


def plan_pilot(prepared: Prepared, members: int) -> PilotPlan:
    """The candidates of this table whose fits are within their share of a study of `members` members, at least: of its
    fits, and of its price as predicted where the cheapest candidate is chosen (`price`)."""
    search = prepared.config.search
    volumes = {"optuna": search.trials, "refine": most_volumes(len(prepared.volumes))}
    searched = volumes.get(search.name, len(prepared.volumes))
    planned, cheapest = members * searched, CANDIDATES[0].generators[0]
    price = study_price(prepared, cheapest, members, searched)
    left_out: list[str] = []
    plan = PilotPlan((), prepared.pilot_volume, planned, (), price=price)
    for candidate in CANDIDATES:
        wider = _with(plan, candidate, prepared)
        if candidate.name == "diffusion" and prepared.n >= FEW_ROWS:
            left_out.append(f"{candidate.name}: {prepared.n:,} rows to learn from, and it is for under {FEW_ROWS:,}")
        elif _is_mixed(candidate) and (members < MEMBERS or not set(_fits(wider)) <= set(_fits(plan))):
            left_out.append(f"{candidate.name}: not both of its generators are tried, or the study has one member")
        elif len(_fits(wider)) > MOST_SHARE * planned:
            left_out.append(
                f"{candidate.name}: with it the pilot would be more than {MOST_SHARE:.0%} of the {planned:,} fits that "
                "the study plans; more members or ratios make room"
            )
        elif plan.candidates and wider.seconds > MOST_SHARE * wider.price:
            left_out.append(
                f"{candidate.name}: with it the pilot would be more than {MOST_SHARE:.0%} of the study's price, "
                f"{wider.seconds:,.0f} of {wider.price:,.0f} CPU-seconds as predicted; more members or ratios make room"
            )
        else:
            plan = wider
    if len(plan.candidates) == 1:
        plan = replace(plan, seconds=0.0, price=price)
    if not plan.candidates:
        plan = replace(plan, candidates=CANDIDATES[:1])
        left_out[0] = f"a pilot: the study plans {planned:,} fits, too few for one; {CANDIDATES[0].name} is taken"
    return replace(plan, left_out=tuple(left_out))


def _with(plan: PilotPlan, candidate: Candidate, prepared: Prepared) -> PilotPlan:
    """The plan with one candidate more. What the cheapest's fits cost stands in the study's price already."""
    wider = replace(plan, candidates=(*plan.candidates, candidate))
    label = next(arm.learner.name for arm in prepared.arms if arm.synthetic)
    more = 0.0
    for name, _ in set(_fits(wider)) - set(_fits(plan)):
        (choice,) = next(one.generators for one in CANDIDATES if one.name == name)
        more += member_price(prepared, choice) + fit_price(prepared, label, plan.volume)
    kept = 0.0 if plan.candidates else more
    return replace(wider, seconds=plan.seconds + more, price=plan.price + more - kept)


def _fits(plan: PilotPlan) -> tuple[tuple[str, int], ...]:
    return tuple(dict.fromkeys(one.fit(k) for one in plan.candidates for k in range(MEMBERS)))


def _is_mixed(candidate: Candidate) -> bool:
    return len(candidate.generators) > 1
