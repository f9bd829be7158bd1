"""Why a model works: ablations, receptive fields, and what it sees in a sequence."""
