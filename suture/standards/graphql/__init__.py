"""GraphQL documents, read into a small tree (https://spec.graphql.org/October2021/)."""
