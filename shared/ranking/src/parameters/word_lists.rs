//! The word lists of the ranking.

/// Phrases of requests, and the words that interfaces use for them; longer phrases first.
///
/// The particle of "turn off" is a function word and its verb says nothing, so that neither arm sees
/// `disable`.
pub(crate) const IDIOMS: [(&str, &str); 25] = [
    ("get rid of", "delete"),
    ("who am i", "get the current authenticated user"),
    ("whoami", "get the current authenticated user"),
    ("logged in", "authenticated"),
    ("signed in", "authenticated"),
    ("log in", "authenticate"),
    ("sign in", "authenticate"),
    ("sign up", "register"),
    ("look up", "find"),
    ("set up", "create"),
    ("spin up", "create"),
    ("bring up", "start"),
    ("shut down", "stop"),
    ("tear down", "delete"),
    ("take down", "delete"),
    ("turn on", "enable"),
    ("turn off", "disable"),
    ("switch on", "enable"),
    ("switch off", "disable"),
    ("call off", "cancel"),
    ("find out", "get"),
    ("write down", "create"),
    ("put together", "create"),
    ("throw away", "delete"),
    ("swap out", "replace"),
];

/// Short forms that interfaces prefer, and the words that requests use: one stem for both.
pub(crate) const ABBREVIATIONS: [(&str, &str); 22] = [
    ("admin", "administrator"),
    ("app", "application"),
    ("apps", "applications"),
    ("auth", "authentication"),
    ("config", "configuration"),
    ("db", "database"),
    ("dir", "directory"),
    ("doc", "document"),
    ("docs", "documents"),
    ("env", "environment"),
    ("img", "image"),
    ("info", "information"),
    ("lang", "language"),
    ("msg", "message"),
    ("org", "organization"),
    ("orgs", "organizations"),
    ("param", "parameter"),
    ("params", "parameters"),
    ("repo", "repository"),
    ("repos", "repositories"),
    ("organisation", "organization"),
    ("organisations", "organizations"),
];

/// Words that authors of tools and those who ask for them use for one another, one group a line.
pub(crate) const SYNONYM_GROUPS: &str = "\
get show describe retrieve fetch view display read
get find list lookup
list enumerate browse all
create add make new generate insert
create open start register launch build
delete remove destroy erase drop
delete deregister revoke
remove detach disassociate unlink
update modify edit change set patch
update configure put
rename move
start run launch execute begin trigger
stop halt end terminate
cancel abort terminate stop
enable activate allow
disable deactivate block
suspend pause
resume restart continue
search find lookup query
send post publish deliver
check verify validate test
calculate compute determine
convert transform translate
compare diff
attach associate bind link
invite add
upload import
download export
copy clone duplicate
merge combine join
book reserve schedule
buy purchase order
estimate predict forecast
login logged authenticated authenticate signed
pr pull
vm machine
user account member
picture image photo
movie film
price cost
job task";

/// Function words and politeness. Verbs that name operations (get, list, show, create, use) are content here.
pub(crate) const STOP_WORDS: &str = "a about above after again all also am an and any are as at be because been before being below between both but by \
     can could did do does doing don down during each few for from further had has have having he hello help her here \
     hers hey hi him his how i if in into is it its itself just let like me more most my myself need no nor not now of \
     off on once only or other our ours out over own please re s same she should so some such t than thank thanks that \
     the their theirs them then there these they this those through to too under until up us very want was we were what \
     when where which while who whom why will with would you your yours";
