"""The command line `condarium`: one module per subject, all on `condarium.client`.

`main` puts them together and turns errors into sentences and exit codes; `output` is what people and programs see,
`session` which server, token and names are meant, `logins` what `condarium login` keeps, `completion` what the shell
offers. Exit codes stand in `codes`.
"""
