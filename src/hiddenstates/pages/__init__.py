"""The executed notebooks as pages to read: a folder of HTML that needs no server and no network."""
