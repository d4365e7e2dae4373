"""The study that many tests share (fixture `copula_study`): small, and of the cheapest generator."""

COPULA = ["breast_cancer", "generator=copula", "learner=boosting", "members=3", "ratios=0.5,1,2"]
