"""The errors a person reads: each is one sentence that says what is wrong, what was expected and what to do."""


class DeconvdemoError(Exception):
    """The base of everything the CLI prints as one line and the page shows as one sentence."""


class PhotoError(DeconvdemoError):
    """A file that cannot be opened as a photo, or a photo and mask that do not belong together."""


class PhotoMemoryError(PhotoError):
    """A file that needs more memory than there is, or than a photo of its size should."""


class ControlError(DeconvdemoError):
    """A slider's, option's or argument's value that its task does not take."""


class CheckpointError(DeconvdemoError):
    """A weights file that is missing, damaged, or not what it says it is."""


class DeviceError(DeconvdemoError):
    """A device or precision that this machine does not have, or that ran out of memory."""


class FeedbackError(DeconvdemoError):
    """A flag that cannot be taken or stored."""


class DatasetError(DeconvdemoError):
    """A dataset whose images or rows cannot be read."""


class TrainingError(DeconvdemoError):
    """A corpus, recipe or resume file that training cannot go on from."""


class StartError(DeconvdemoError):
    """Something about this machine or its folders because of which the demo cannot start."""


class BusyError(DeconvdemoError):
    """More is asked of this demo at once than it can do."""


class LeftError(DeconvdemoError):
    """Whoever asked for something has left before it was done."""

    def __init__(self) -> None:
        super().__init__("whoever asked for this has left, so it was not finished")
