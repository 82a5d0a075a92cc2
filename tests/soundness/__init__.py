"""The law of the static check: what it accepts builds, runs and has exactly the shapes it said.

`drawing` makes random values for every type of parameter, `cases` random applications of a layer,
`oracle` what torch says to one, `nets` whole random specs. `pytest --draws 5000 --nets 2000` looks
longer.
"""
