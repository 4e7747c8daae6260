"""A session: progress, compiled steps and checkpoints, which surround runs and decide no result."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pretrain.engine.checkpoint import SECONDS, Checkpoints
from pretrain.engine.program import Programs
from pretrain.engine.progress import Reporter
from pretrain.engine.runtime import start


@dataclass(kw_only=True)
class Session:
    """Progress, compiled steps and checkpoints, for one run or several; made once, started once.

    Commands and Python make the same one, so a run is the same from both: the same flags, identity, digests
    and checkpoints. The seed is no part of it: it decides results, and belongs to the configuration.

    Attributes:
        threads: of one operation; None lets TensorFlow take every core. It is recorded with a result, whose
            bits it may change.
        reporter: shows the progress; the default is silent.
        resume: go on from the newest checkpoint, or start where there is none.
        force: replace outputs, and drop an interrupted run's checkpoints.
        checkpoint_seconds: seconds between two checkpoints.
        checkpoints: where the present run saves its state; None: nowhere.
        programs: compiled steps, shared by all runs of the session.

    Example:
        >>> session = Session(threads=1).start()
    """

    threads: int | None = None
    reporter: Reporter = field(default_factory=Reporter)
    resume: bool = False
    force: bool = False
    checkpoint_seconds: float = SECONDS
    checkpoints: Checkpoints | None = None
    programs: Programs = field(default_factory=lambda: Programs(64), repr=False)

    def start(self) -> Session:
        """Start TensorFlow with the session's threads, unless it runs already. Returns the session.

        Raises:
            InputError: Keras was set up for another backend, or TensorFlow runs with other threads.
        """
        start(self.threads)
        return self

    def saving(self, checkpoints: Checkpoints | None) -> Session:
        """Return the same session, whose run saves its state to ``checkpoints``."""
        return replace(self, checkpoints=checkpoints)

    def sharing(self, programs: Programs) -> Session:
        """Return the same session with the compiled steps of others."""
        return replace(self, programs=programs)

    def aside(self) -> Session:
        """Return a silent session without checkpoints, for trainings that serve a decision of the run."""
        return Session(threads=self.threads, programs=self.programs)
