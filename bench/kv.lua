-- kv: 32 connections read or write secrets of 512 bytes at random, each thread from its own seed.
-- wrk ... -s bench/kv.lua URL -- TOKEN read|write SECRETS; the last line is JSON.
local requests, threads = {}, 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    local token, what, count = args[1], args[2], tonumber(args[3])
    math.randomseed(number)
    local body = what == "write" and '{"value":"' .. string.rep("x", 500) .. '"}' or nil
    for n = 1, count do
        requests[n] = wrk.format(body and "POST" or "GET", "/v1/kv/s" .. n, {["X-Vault-Token"] = token}, body)
    end
end

function request()
    return requests[math.random(#requests)]
end

function done(summary, latency)
    local bad = summary.errors
    print(string.format('{"requests": %d, "seconds": %.4f, "p50_us": %d, "p99_us": %d, "failed": %d}', summary.requests,
        summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        bad.connect + bad.read + bad.write + bad.status + bad.timeout))
end
