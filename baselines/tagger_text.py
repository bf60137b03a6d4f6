"""`tagger-text`: images of the backbone for the label that an audio classifier predicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from benchmark import Conditioning, ConditioningMethod, MethodCard, RunContext
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from benchmark import Clip
    from metrics.scorers.audio import AudioClassifier


class TaggerText(ConditioningMethod):
    """Top label of the suite's audio classifier, one of the classifier's own labels, in the suite's prompt template."""

    card: ClassVar[MethodCard] = MethodCard(
        name="tagger-text",
        summary="prompt of the top label of the suite's audio classifier",
        sees=("audio", "label list"),
        licence="Apache-2.0",
        training_data="nothing is fitted; the classifier was trained on labelled sounds",
        weights="the suite's audio classifier",
        notes="The same classifier is the yardstick of aic.audio: there this method agrees with itself. Its labels are "
        "the classifier's own, also where the data set has others.",
    )

    def setup(self, run: RunContext) -> None:
        """Load the classifier, and warn if it lacks labels of the data set.

        Raises:
            UserError: The suite has no audio classifier.
        """
        from benchmark.registries import SCORERS

        super().setup(run)
        suite = run.suite
        if suite.scorers.audio_label is None:
            raise UserError(f"suite {suite.name!r} has no audio classifier (scorers.audio_label): choose another suite")
        scorer = SCORERS.get(f"{suite.base}/{suite.scorers.audio_label}")(suite, run.device)
        self.classifier = cast("AudioClassifier", scorer)
        self.labels = self.classifier.labels
        missing = [label for label in run.test.labels if label not in self.labels]
        if missing:
            run.ui.warn(
                f"the audio classifier of {suite.base!r} knows {len(run.test.labels) - len(missing)} of the data set's "
                f"{len(run.test.labels)} labels (not {missing[0]!r}): prompts name the classifier's own labels"
            )

    def choose(self, clips: Sequence[Clip]) -> list[str]:
        """Return the top label of each clip's audio."""
        logits = self.classifier.embed_audio([self.run.suite.sound(clip) for clip in clips])
        return [self.labels[position] for position in logits.argmax(axis=1)]

    def condition(self, clips: Sequence[Clip]) -> Conditioning:
        """Return the conditioning of each clip's top label."""
        backbone = self.run.backbone
        return Conditioning(backbone.encode_prompts([backbone.prompt(label) for label in self.choose(clips)]))
