"""The parts of a build: noting what pages need, finishing, publishing, pruning."""
