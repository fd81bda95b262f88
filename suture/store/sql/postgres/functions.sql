-- What PostgreSQL lacks of what the store's SQL takes from SQLite, and what only a database on a server needs.
CREATE OR REPLACE FUNCTION scalar_max(anycompatible, anycompatible) RETURNS anycompatible
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT greatest($1, $2)';
CREATE OR REPLACE FUNCTION scalar_min(anycompatible, anycompatible) RETURNS anycompatible
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT least($1, $2)';
CREATE OR REPLACE FUNCTION hex(bytea) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$SELECT upper(encode($1, 'hex'))$$;
CREATE OR REPLACE FUNCTION json_extract(text, text) RETURNS text
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$SELECT $1::jsonb #>> string_to_array(substr($2, 3), '.')$$;
CREATE OR REPLACE FUNCTION json_each(text) RETURNS TABLE (value text)
  LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS 'SELECT jsonb_array_elements_text($1::jsonb)';

-- the time of the last transaction in microseconds; it is set under the write lock, so that no two processes turn it back
CREATE SEQUENCE IF NOT EXISTS suture_time MINVALUE 0 START 0;

-- the database's own key, wrapped by the key file's key (envelope.py)
CREATE TABLE IF NOT EXISTS envelope (one bigint PRIMARY KEY CHECK (one = 1), text text NOT NULL);

-- What the index can't tell: Suture finds it out and asks again (postgres/answers.py). A row that is not known yet is noted
-- and taken for one that does not hold, until so many were noted as `suture.most` says; then for one that does, to come to an end.
CREATE OR REPLACE FUNCTION suture_holds(bigint, bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE COST 10000 AS $$
DECLARE said text;
BEGIN
  SELECT told INTO said FROM pg_temp.suture_known k WHERE k.number = $1 AND k.rid = $2 AND k.down = 0;
  IF FOUND THEN RETURN said = '1'; END IF;
  IF nextval('pg_temp.suture_turn') > current_setting('suture.most')::bigint THEN RETURN true; END IF;
  INSERT INTO pg_temp.suture_asked VALUES ($1, $2, 0, true);
  RETURN false;
END $$;
CREATE OR REPLACE FUNCTION suture_key(bigint, bigint, bigint) RETURNS text LANGUAGE plpgsql VOLATILE COST 10000 AS $$
DECLARE said text;
BEGIN
  SELECT told INTO said FROM pg_temp.suture_known k WHERE k.number = $1 AND k.rid = $2 AND k.down = $3;
  IF NOT FOUND THEN INSERT INTO pg_temp.suture_asked VALUES ($1, $2, $3, false); END IF;
  RETURN said;
END $$;
