"""The queue as rows beside the data, so that message, effect, progress and audit commit together: runs, deliveries, dead."""
