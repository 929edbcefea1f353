"""One module per kind of figure. Each takes what it needs, adds values to `bench.results`, and raises `NotMeasured` otherwise."""
