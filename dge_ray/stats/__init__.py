"""Statistics of the prediction tensor: pure functions of P (members, volumes, rows, classes) and the truth.

numpy and scipy only. `metrics` (every metric's record, row contributions, laws of a number), `ensemble` (what members
do together), `volume` (what rows do: surface, reflection point, curves), `comparison` (against baselines and groups),
`utility`; beside them `inference` and `leakage`, and the tools twoway, gaps, projection. Import from the modules: each
process of a study loads only what it needs.
"""
