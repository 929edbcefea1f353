"""`make bench`: what a hit costs, as one table and as JSON.

Runs release binaries on data of its own and free ports. Modules in the order of use: `machine` (what the kernel knows),
`properties` (files of properties), `load` (the generator), `system` (Meridian as processes), `warehouse` (SQL), `figures/`
(one module per kind of figure), `table` (goals, medians, output). docs/load-tests.md says how each figure is measured.
"""
