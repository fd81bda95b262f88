-- held: 1 when events wait for whoever holds a websocket, and nothing is sent by itself
ALTER TABLE subscription ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
