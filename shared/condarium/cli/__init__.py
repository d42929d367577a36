"""The command line `condarium`.

Exit codes: 0 done; 1 the thing asked for failed (a build, a download); 2 wrong use or bad input; 3 not allowed;
4 not there; 5 the server is away; 130 interrupted.
"""
