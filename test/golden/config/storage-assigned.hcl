storage = { inmem = {} }
