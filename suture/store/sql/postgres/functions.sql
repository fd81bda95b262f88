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
