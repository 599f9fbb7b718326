-- Run once, when PostgreSQL makes its first database, which is specmine's catalogue: Prefect has one of its own.
CREATE DATABASE prefect OWNER specmine;
