-- Lists of one source's messages and of one flow's runs, newest first, however rare it is among others.
CREATE INDEX message_source ON message (source, mid);
CREATE INDEX run_flow ON run (flow, run);
