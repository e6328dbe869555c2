"""The cases, in the order in which they run."""

CASES = {}


class Case:
    """`beside`: it needs nothing of the cases before it and mostly waits, so that it may run beside them."""

    def __init__(self, run, seconds, by_default, needs_stock, needs_browser, beside):
        self.run, self.seconds, self.by_default, self.needs_stock = run, seconds, by_default, needs_stock
        self.needs_browser, self.beside = needs_browser, beside
        self.title = (run.__doc__ or "").strip().splitlines()[0]


def case(seconds, by_default=True, needs_stock=True, needs_browser=False, beside=False):
    """Registers a function `(world, figures)` under its name; it fails by raising."""
    def register(run):
        CASES[run.__name__] = Case(run, seconds, by_default, needs_stock, needs_browser, beside)
        return run
    return register
