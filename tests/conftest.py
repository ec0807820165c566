import hypothesis

# No deadline: machines that share their cores are slow at times. No database: the code may be mounted read-only.
hypothesis.settings.register_profile("suite", deadline=None, database=None)
hypothesis.settings.load_profile("suite")

# Each service is a project of its own; the benchmarks are programs.
collect_ignore_glob = ["services/*-service/*", "benchmarks/*"]
