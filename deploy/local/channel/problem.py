"""The one error of the sample channel: a sentence for the person at the keyboard."""


class ChannelError(Exception):
    """The channel cannot be made; the message says what was missing or wrong, where, and what to do."""
