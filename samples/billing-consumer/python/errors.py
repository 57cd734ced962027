"""What this program must not pass over."""


class FeedError(Exception):
    """Something is wrong with the feed, the state or the ledger; the text says what."""
