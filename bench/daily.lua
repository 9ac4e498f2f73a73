-- daily: one kind of request over and over; each thread draws from its own seed.
-- wrk ... -s bench/daily.lua URL -- TOKEN METHOD PATH COUNT BODY; `%d` in PATH becomes 1..COUNT. The last line is JSON.
local requests, threads = {}, 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    math.randomseed(number)
    for n = 1, tonumber(args[4]) do
        local path = args[3]:gsub("%%d", tostring(n))
        requests[n] = wrk.format(args[2], "/v1/" .. path, {["X-Vault-Token"] = args[1]}, args[5])
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
