//! Known-item search by name: who asks for a tool by its name must get it, however the name is written.
//!
//! | form | `create_pull_request` is asked for as |
//! |---|---|
//! | verbatim | `create_pull_request` |
//! | spaced | `create pull request` |
//! | joined | `createpullrequest`: its letters and digits alone |
//! | typo | `create_pul_request`: one letter added, lost, changed or swapped; from 8 characters on |

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
};

use serde::{Deserialize, Serialize};
use toolweaver_contracts::{Detail, Fault, SearchRequest, Tool, ToolId, identifiers};

use crate::{
    metrics::share,
    random::Random,
    set::Set,
    system::{Questioner, SearchSystem},
};

/// Shortest name that gets a typo: a shorter one with a letter changed is another name.
const TYPO_CHARS_MIN: usize = 8;
/// Attempts at a typo that is not another tool's name.
const TYPO_ATTEMPTS_MAX: usize = 20;
/// Places among which one of several tools with the same name must be.
const SHARED_PLACES: usize = 3;
/// Results asked for.
const PLACES: usize = 5;

/// Spelling of a name in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    Verbatim,
    Spaced,
    Joined,
    Typo,
}

/// Results of all names in one form.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FormSummary {
    pub(crate) form: Form,
    /// Names asked for that no other tool has, and that are the same as no other in letters and digits.
    pub(crate) unique: usize,
    /// Share of them whose tool came first, 0 to 1.
    pub(crate) first: f64,
    /// Names asked for that several tools have.
    pub(crate) shared: usize,
    /// Share of them whose tool was among the first three.
    pub(crate) shared_in_3: f64,
    /// Share of all whose tool was among the first five.
    pub(crate) in_5: f64,
}

/// A name that did not lead to its tool.
#[derive(Debug)]
pub(crate) struct Miss {
    pub(crate) form: Form,
    pub(crate) query: String,
    pub(crate) wanted: ToolId,
    /// Its place in the results, from 1.
    pub(crate) place: Option<usize>,
    pub(crate) first: Option<ToolId>,
}

struct Question {
    form: Form,
    text: String,
    wanted: ToolId,
    is_shared: bool,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Verbatim, Self::Spaced, Self::Joined, Self::Typo];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Verbatim => "verbatim",
            Self::Spaced => "spaced",
            Self::Joined => "joined",
            Self::Typo => "one typo",
        }
    }
}

/// Asks for the names of a set's tools, or for a sample of them.
pub(crate) async fn ask(
    questioner: &Questioner<'_, impl SearchSystem>,
    set: &Set,
    names_max: Option<NonZeroUsize>,
    seed: u64,
) -> Result<(Vec<FormSummary>, Vec<Miss>), Fault> {
    let questions = questions(&set.tools, names_max, seed);
    let requests = questions.iter().map(request).collect();
    let places = questioner
        .ask_all("names", requests, |index, answer| {
            let found: Vec<ToolId> = answer.reply.results.into_iter().map(|result| result.tool_id).collect();
            let place = found.iter().position(|tool| *tool == questions[index].wanted);
            (place, found.into_iter().next())
        })
        .await?;
    let summaries = Form::ALL.into_iter().map(|form| summary(form, &questions, &places)).collect();
    let misses = questions.into_iter().zip(places).filter_map(|(question, (place, first))| {
        let wanted_in = if question.is_shared { SHARED_PLACES } else { 1 };
        let is_missed = place.is_none_or(|place| place >= wanted_in);
        let Question { form, text, wanted, .. } = question;
        is_missed.then(|| Miss { form, query: text, wanted, place: place.map(|place| place + 1), first })
    });
    Ok((summaries, misses.collect()))
}

fn summary(form: Form, questions: &[Question], places: &[(Option<usize>, Option<ToolId>)]) -> FormSummary {
    let asked = questions.iter().zip(places).filter(|(question, _)| question.form == form);
    let (mut unique, mut first, mut shared, mut shared_in_3, mut in_5) = (0, 0, 0, 0, 0);
    for (question, (place, _)) in asked {
        if question.is_shared {
            shared += 1;
            shared_in_3 += usize::from(place.is_some_and(|place| place < SHARED_PLACES));
        } else {
            unique += 1;
            first += usize::from(*place == Some(0));
        }
        in_5 += usize::from(place.is_some_and(|place| place < PLACES));
    }
    FormSummary {
        form,
        unique,
        first: share(first, unique),
        shared,
        shared_in_3: share(shared_in_3, shared),
        in_5: share(in_5, unique + shared),
    }
}

fn request(question: &Question) -> SearchRequest {
    let mut request = SearchRequest::new(question.text.as_str());
    request.top_k = u32::try_from(PLACES).ok();
    request.detail = Detail::Name;
    request
}

fn questions(tools: &[Tool], names_max: Option<NonZeroUsize>, seed: u64) -> Vec<Question> {
    let mut tools_by_name: HashMap<String, usize> = HashMap::new();
    for tool in tools {
        *tools_by_name.entry(normalised(tool.tool_name.as_str())).or_default() += 1;
    }
    let known: HashSet<&str> = tools_by_name.keys().map(String::as_str).collect();
    let mut random = Random::new(seed);
    let mut questions = Vec::new();
    for index in random.sample(names_max.map_or(tools.len(), NonZeroUsize::get), tools.len()) {
        let tool = &tools[index];
        let name = tool.tool_name.as_str();
        for form in Form::ALL {
            let text = match form {
                Form::Verbatim => Some(name.to_owned()),
                Form::Spaced => Some(identifiers::spaced(name)),
                Form::Joined => Some(name.chars().filter(|c| c.is_alphanumeric()).collect()),
                Form::Typo => with_typo(name, &known, &mut random),
            };
            // A name of punctuation alone has nothing left.
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            let wanted = ToolId { domain: tool.domain.clone(), tool_name: tool.tool_name.clone() };
            let is_shared = tools_by_name[&normalised(name)] > 1;
            questions.push(Question { form, text, wanted, is_shared });
        }
    }
    questions
}

/// Returns the name with one typo that makes it no other tool's; `None` where it is too short.
fn with_typo(name: &str, known: &HashSet<&str>, random: &mut Random) -> Option<String> {
    let chars: Vec<char> = name.chars().collect();
    let letters: Vec<usize> = (0..chars.len()).filter(|&i| chars[i].is_alphabetic()).collect();
    if chars.len() < TYPO_CHARS_MIN || letters.is_empty() {
        return None;
    }
    let attempts = (0..TYPO_ATTEMPTS_MAX).map(|_| {
        let mut chars = chars.clone();
        let at = random.one_of(&letters);
        let letter = char::from(random.one_of(b"abcdefghijklmnopqrstuvwxyz"));
        match random.below(4) {
            0 => chars.insert(at, letter),
            1 => drop(chars.remove(at)),
            2 => chars[at] = letter,
            _ if letters.contains(&(at + 1)) => chars.swap(at, at + 1),
            _ => {}
        }
        chars.into_iter().collect::<String>()
    });
    // What is the name again, such as one letter replaced by itself, is known too.
    attempts.into_iter().find(|typo| !known.contains(normalised(typo).as_str()))
}

/// Returns letters and digits alone, in lower case.
fn normalised(name: &str) -> String {
    let normal: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if normal.is_empty() { name.to_owned() } else { normal }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use toolweaver_contracts::decode;

    use super::{Form, Random, normalised, questions, with_typo};

    #[test]
    fn a_typo_is_one_edit_and_no_other_name() {
        let known = HashSet::from(["createpullrequest", "createpullrequests"]);
        let mut random = Random::new(1);
        for _ in 0..200 {
            let typo = with_typo("create_pull_request", &known, &mut random).unwrap();
            assert!(!known.contains(normalised(&typo).as_str()), "{typo}");
            assert!(typo.chars().count().abs_diff(19) <= 1, "{typo}");
        }
        assert_eq!(with_typo("get_all", &known, &mut random), None);
        assert_eq!(with_typo("1234567890", &known, &mut random), None);
    }

    #[test]
    fn every_form_of_every_name_is_asked_for() {
        let tool = |json: &str| decode(json.as_bytes()).unwrap();
        let tools = [
            tool("{\"tool_name\":\"createPullRequest\"}"),
            tool("{\"tool_name\":\"create_pull-request\",\"domain\":\"git\"}"),
            tool("{\"tool_name\":\"++\"}"),
        ];
        let asked = questions(&tools, None, 1);
        let texts: Vec<(Form, &str, bool)> = asked
            .iter()
            .filter(|question| question.form != Form::Typo)
            .map(|question| (question.form, question.text.as_str(), question.is_shared))
            .collect();
        assert_eq!(
            texts,
            [
                (Form::Verbatim, "createPullRequest", true),
                (Form::Spaced, "create Pull Request", true),
                (Form::Joined, "createPullRequest", true),
                (Form::Verbatim, "create_pull-request", true),
                (Form::Spaced, "create pull request", true),
                (Form::Joined, "createpullrequest", true),
                (Form::Verbatim, "++", false),
            ]
        );
        assert_eq!(asked.len(), 9, "and two with a typo");
        assert_eq!(
            questions(&tools, 1.try_into().ok(), 1).len(),
            questions(&tools, 1.try_into().ok(), 1).len()
        );
    }
}
