"""Statistics of the prediction tensor: pure functions of P (members, volumes, rows, classes) and the truth.

numpy and scipy only. Modules: losses, auc (metrics and their row contributions); combine; klaw, subsets, surface
(R(K, m)); twoway, volumes, reflection (errors and the reflection point); pruning; compare (baselines); disagreement,
families (how members differ); fidelity, nearest; klaw_interval, learning_curve, joint_law (laws in members and volume,
fitted by projection with curve_errors); nested, uncertainty, subgroups; crps (laws of a number as
weighted atoms). Import from the modules: each process of a study loads only what it needs.
"""
