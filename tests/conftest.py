import hypothesis

# No deadline: machines that share their cores are slow at times. No database: the code may be mounted read-only.
hypothesis.settings.register_profile("suite", deadline=None, database=None)
hypothesis.settings.load_profile("suite")
