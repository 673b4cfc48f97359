//! What changes in the headers of requests and answers on their way. All else passes as it came, but for what belongs
//! to one connection alone, which the client of the services drops.

use std::net::IpAddr;

use chassis::client::drop_hop_by_hop;
use http::Version;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How headers begin that say for whom a request is made and how long it may take: proxies say that, not their clients.
const CLAIMS: [&str; 4] = ["x-forwarded", "forwarded", "x-real-ip", "x-envoy-"];
/// How headers begin that web pages and services agree by; the edge in front has done so.
const OF_WEB_PAGES: &str = "access-control-";

/// Headers that a request has more behind the gateway, with those of the client of the services.
const ADDED: usize = 8;

/// What this process is called in `Via`: a name that no other proxy has, whatever its operators call it.
#[derive(Debug)]
pub(crate) struct Hop {
    pseudonym: String,
    /// What it adds to `Via`, for requests of each version.
    lines: Vec<(Version, HeaderValue)>,
    /// What its clients speak, unless a trusted proxy says otherwise.
    scheme: &'static str,
}

impl Hop {
    /// Of the process of this id, at which TLS ends, or in front of which.
    pub(crate) fn new(process: &str, speaks_tls: bool) -> Self {
        let pseudonym = format!("keelson-{process}");
        let numbers = [(Version::HTTP_11, "1.1"), (Version::HTTP_2, "2.0"), (Version::HTTP_10, "1.0")];
        let line = |number| HeaderValue::try_from(format!("{number} {pseudonym}")).ok();
        let lines = numbers.into_iter().filter_map(|(version, number)| Some((version, line(number)?))).collect();
        Self { pseudonym, lines, scheme: if speaks_tls { "https" } else { "http" } }
    }

    fn line(&self, version: Version) -> Option<&HeaderValue> {
        let known = self.lines.iter().find(|(known, _)| *known == version);
        known.or(self.lines.first()).map(|(_, line)| line)
    }

    /// Whether a request comes from this process, by whatever way: an address of a service leads back to here.
    pub(crate) fn has_passed(&self, headers: &HeaderMap) -> bool {
        let mut hops = headers.get_all(header::VIA).iter().flat_map(members);
        hops.any(|hop| hop.split_whitespace().nth(1) == Some(&self.pseudonym))
    }
}

/// What is known of a request beside its headers.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// From where it comes, as the edge knows it.
    pub(crate) client: Option<IpAddr>,
    /// What its client calls this place.
    pub(crate) host: Option<HeaderValue>,
    /// What it was sent with.
    pub(crate) version: Version,
    /// What this process is called in `Via`.
    pub(crate) hop: &'a Hop,
    /// A trusted proxy stands in between, which has said more of it.
    pub(crate) through_proxy: bool,
}

/// Says who asks, where nobody else is believed, and takes out what the edge has dealt with.
pub(crate) fn rewrite_request(headers: &mut HeaderMap, asked: Asked<'_>) {
    headers.reserve(ADDED);
    drop_hop_by_hop(headers);
    if !asked.through_proxy {
        remove(headers, |name| CLAIMS.iter().any(|claim| begins(name, claim)));
    }
    // Whether the page may ask was judged by the host that it knows. The service behind has another one.
    headers.remove(header::ORIGIN);
    remove(headers, |name| begins(name, OF_WEB_PAGES));

    if let Some(client) = asked.client {
        continue_chain(headers, client);
    }
    if let Some(host) = asked.host.filter(|_| !headers.contains_key(FORWARDED_HOST)) {
        headers.insert(FORWARDED_HOST, host);
    }
    // Where TLS ends before the gateway, whoever ends it is a proxy to be trusted.
    if !headers.contains_key(FORWARDED_PROTO) {
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(asked.hop.scheme));
    }
    if let Some(via) = asked.hop.line(asked.version) {
        headers.append(header::VIA, via.clone());
    }
}

/// Takes out what the edge says of an answer itself.
pub(crate) fn rewrite_answer(headers: &mut HeaderMap) {
    remove(headers, |name| begins(name, OF_WEB_PAGES));
    let is_origin = |member: &String| member.eq_ignore_ascii_case("origin");
    let mut varies: Vec<String> = headers.get_all(header::VARY).iter().flat_map(members).collect();
    if !varies.iter().any(is_origin) {
        return;
    }
    varies.retain(|member| !is_origin(member));
    headers.remove(header::VARY);
    if let Some(varies) = HeaderValue::from_str(&varies.join(", ")).ok().filter(|value| !value.is_empty()) {
        headers.insert(header::VARY, varies);
    }
}

/// The last address is the client's: whoever believes the gateway and nobody else must find it there.
fn continue_chain(headers: &mut HeaderMap, client: IpAddr) {
    let client = client.to_string();
    let mut chain: Vec<String> = headers.get_all(FORWARDED_FOR).iter().flat_map(members).collect();
    if chain.last() != Some(&client) {
        chain.push(client);
    }
    if let Ok(chain) = HeaderValue::try_from(chain.join(", ")) {
        headers.insert(FORWARDED_FOR, chain);
    }
}

/// The members of a list. What is no text has none.
fn members(value: &HeaderValue) -> Vec<String> {
    let members = value.to_str().unwrap_or_default().split(',').map(str::trim);
    members.filter(|member| !member.is_empty()).map(str::to_owned).collect()
}

fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&str) -> bool) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_meant(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a name begins so. An underscore is a dash to programs that know headers as variables (WSGI, CGI).
fn begins(name: &str, with: &str) -> bool {
    let is_same = |(own, other): (u8, u8)| own == other || (own, other) == (b'_', b'-');
    name.len() >= with.len() && name.bytes().zip(with.bytes()).all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn rewritten(lines: &[(&'static str, &'static str)], through_proxy: bool) -> Vec<(String, String)> {
        let mut headers = headers(lines);
        let hop = Hop::new("1", false);
        let asked = Asked {
            client: Some("203.0.113.7".parse().unwrap()),
            host: Some(HeaderValue::from_static("shop.example.com")),
            version: Version::HTTP_11,
            hop: &hop,
            through_proxy,
        };
        rewrite_request(&mut headers, asked);
        let mut lines: Vec<_> =
            headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
        lines.sort();
        lines
    }

    fn lines(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    const TOLD: [(&str, &str); 4] = [
        ("via", "1.1 keelson-1"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-host", "shop.example.com"),
        ("x-forwarded-proto", "http"),
    ];

    #[test]
    fn what_a_client_says_of_itself_is_replaced() {
        let forged = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-host", "evil.example"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-user", "root"),
            ("x-forwarded", "for=10.0.0.1"),
            ("x_forwarded_for", "10.0.0.1"),
            ("x-forwarded_client_cert", "By=root"),
            ("forwarded", "for=10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("x-envoy-expected-rq-timeout-ms", "999999"),
            ("x-envoy-internal", "true"),
        ];
        assert_eq!(rewritten(&forged, false), lines(&TOLD));
        assert_eq!(rewritten(&[], false), lines(&TOLD));
    }

    #[test]
    fn what_a_trusted_proxy_says_stays_and_its_chain_ends_with_the_client() {
        let said = [
            ("forwarded", "for=203.0.113.7"),
            ("via", "1.1 balancer"),
            ("x-forwarded-host", "other.example.com"),
            ("x-forwarded-port", "443"),
            ("x-forwarded-proto", "https"),
        ];
        let expected = |chain: &'static str| {
            let more = [("via", "1.1 keelson-1"), ("x-forwarded-for", chain)];
            let mut expected = lines(&[&said[..], &more].concat());
            expected.sort();
            expected
        };
        for (chain, continued) in [
            ("203.0.113.7", "203.0.113.7"),
            ("198.51.100.1, 203.0.113.7", "198.51.100.1, 203.0.113.7"),
            ("203.0.113.7,10.0.0.2", "203.0.113.7, 10.0.0.2, 203.0.113.7"),
            ("nonsense", "nonsense, 203.0.113.7"),
        ] {
            let lines = [&said[..], &[("x-forwarded-for", chain)]].concat();
            assert_eq!(rewritten(&lines, true), expected(continued));
        }
    }

    #[test]
    fn what_the_edge_has_dealt_with_goes_no_further_and_all_else_does() {
        let dealt_with = [
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a"),
        ];
        let kept = [("authorization", "Bearer t"), ("cookie", "a=b"), ("originator", "x"), ("x-access-token", "t")];
        let mut expected = lines(&[&kept[..], &TOLD].concat());
        expected.sort();
        assert_eq!(rewritten(&[&dealt_with[..], &kept].concat(), false), expected);
    }

    #[test]
    fn a_connection_takes_nothing_away_that_is_said_here() {
        let hidden = [
            ("connection", "close, X-Forwarded-For, via"),
            ("connection", "x-forwarded-host,X-Forwarded-Proto, not a name, x-secret"),
            ("x-secret", "1"),
        ];
        for through_proxy in [false, true] {
            assert_eq!(rewritten(&hidden, through_proxy), lines(&TOLD));
        }
    }

    #[test]
    fn a_request_that_was_here_before_is_known_by_its_way() {
        for (via, passed) in [
            (&["1.1 keelson-1"][..], true),
            (&["1.0 fred, 1.1 keelson-1 (comment)"], true),
            (&["1.0 fred", "HTTP/2.0 keelson-1, 1.1 other"], true),
            (&["1.1 keelson-12", "1.1 other (keelson-1)", "keelson-1"], false),
            (&[], false),
        ] {
            let way: Vec<_> = via.iter().map(|via| ("via", *via)).collect();
            assert_eq!(Hop::new("1", false).has_passed(&headers(&way)), passed, "{via:?}");
        }
    }

    #[test]
    fn an_answer_leaves_web_pages_to_the_edge() {
        let answer = |vary: &[&'static str]| {
            let mut all =
                vec![("access-control-allow-origin", "*"), ("access-control-max-age", "5"), ("etag", "\"1\"")];
            all.extend(vary.iter().map(|vary| ("vary", *vary)));
            let mut headers = headers(&all);
            rewrite_answer(&mut headers);
            let rest: Vec<_> = headers.keys().map(HeaderName::as_str).filter(|name| *name != "vary").collect();
            assert_eq!(rest, ["etag"]);
            headers.get_all("vary").iter().map(|vary| vary.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(answer(&["Origin"]), Vec::<String>::new());
        assert_eq!(answer(&["accept-encoding,  origin", "cookie"]), ["accept-encoding, cookie"]);
        assert_eq!(answer(&["accept-encoding", "cookie"]), ["accept-encoding", "cookie"]);
        assert_eq!(answer(&[]), Vec::<String>::new());
    }
}
