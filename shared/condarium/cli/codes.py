"""Exit codes, the same for every command; docs/cli.md has them too."""

FAILED = 1
WRONG = 2
REFUSED = 3
NOT_THERE = 4
AWAY = 5
#: of `apply --dry-run --exit-code`
WOULD_CHANGE = 6

EPILOG = (
    "Exit codes: 0 done; 1 what was asked for failed (a build, a download); 2 wrong use or bad input; 3 not allowed; "
    "4 not there; 5 the server is away; 6 there would be changes (apply --dry-run --exit-code); 130 interrupted. "
    "`run` and `env shell` end as their command does."
)
