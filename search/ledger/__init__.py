"""Where trials are kept: storages, who may drive a study, what a crash leaves, replay."""
