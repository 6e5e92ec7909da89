//! The playground's page, driven in a headless browser as a person would use it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use ery_tests::{Browser, ContractKept, Ery, Sim};

/// Chooses whom to speak as, in the way that the page's own code notices.
async fn speak_as(browser: &Browser, username: &str) {
    let script = format!(
        "const member = document.querySelector(`#members [data-username='{username}']`);
         const select = document.getElementById('speak-as');
         select.value = member.dataset.userId;
         select.dispatchEvent(new Event('change', {{ bubbles: true }}));
         return select.value === member.dataset.userId;"
    );
    browser.find(&format!("#members [data-username='{username}']")).await.unwrap();
    browser.until("the speaker to be chosen", &script).await.unwrap();
}

async fn write(browser: &Browser, text: &str) {
    browser.type_into("#composer", text).await.unwrap();
    browser.click("#send").await.unwrap();
}

/// Starts a playground, and opens its page, whose address it returns, in the channel `general`.
async fn general_on_the_page() -> (Ery, String, ContractKept, Browser) {
    let mut playground = Ery::start_playground(None, &[]).unwrap();
    let page = playground.line_after("Ery's playground is at").await.unwrap();
    let sim = Sim::new(&playground.line_after("The simulated Discord is at").await.unwrap());
    let contract = ContractKept::watch(&sim).await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.open(&page).await.unwrap();
    browser.find("#connection[data-state='live']").await.unwrap();
    browser.click("[data-testid='channel'][data-channel-name='general']").await.unwrap();
    (playground, page, contract, browser)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_times_bob_out_on_the_page_and_sees_how() {
    let (_playground, page, _contract, browser) = general_on_the_page().await;

    speak_as(&browser, "theo").await;
    write(&browser, "@Ery timeout @bob for 10 minutes, he is spamming").await;

    // Ery's reply arrives live, bob's timeout shows, and the panel tells how it came about.
    let own = "[data-testid='message'][data-author='theo']";
    browser.find(own).await.unwrap();
    browser.find("[data-testid='message'][data-author='Ery'][data-reply-to]").await.unwrap();
    browser.find("#members [data-username='bob'][data-timed-out='true']").await.unwrap();
    browser.find("#steps [data-testid='step'][data-kind='context']").await.unwrap();
    browser.find("#steps [data-testid='step'][data-kind='model_answered']").await.unwrap();
    browser
        .find("#steps [data-testid='step'][data-kind='tool'][data-tool='timeout_member']")
        .await
        .unwrap();
    browser.find("#steps [data-testid='thread'][data-outcome='done']").await.unwrap();
    browser.click("#tab-audit").await.unwrap();
    browser.find("#audit [data-testid='audit-row'][data-tool='timeout_member']").await.unwrap();

    // What a person wrote is text, whatever it looks like.
    speak_as(&browser, "alice").await;
    write(&browser, "<img src=x onerror=\"document.title='broken'\"> hello").await;
    browser.find("[data-testid='message'][data-author='alice']").await.unwrap();
    let injected =
        browser.run("return document.querySelectorAll('#messages img').length").await.unwrap();
    assert_eq!(injected, 0);

    // Bob cannot speak now, and the page says so.
    speak_as(&browser, "bob").await;
    write(&browser, "let me speak").await;
    browser.find("#toasts [data-testid='toast']").await.unwrap();

    // After a reload, the records are still there.
    browser.open(&page).await.unwrap();
    browser.find("#connection[data-state='live']").await.unwrap();
    browser.click("[data-testid='channel'][data-channel-name='general']").await.unwrap();
    browser.find("#steps [data-testid='thread'][data-outcome='done']").await.unwrap();
    let errors = browser.errors().await.unwrap();
    let unexpected: Vec<&String> = errors.iter().filter(|error| !error.contains("403")).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_is_approved_on_the_page_by_whoever_may_do_it() {
    // Even an order waits for a click then.
    let ask = [("ERY_TOOL_SERVICE__POLICY__TIMEOUT_MEMBER", "ask")];
    let mut playground = Ery::start_playground(None, &ask).unwrap();
    let page = playground.line_after("Ery's playground is at").await.unwrap();
    let sim = Sim::new(&playground.line_after("The simulated Discord is at").await.unwrap());
    let _contract = ContractKept::watch(&sim).await.unwrap();
    let browser = Browser::start().await.unwrap();
    browser.open(&page).await.unwrap();
    browser.find("#connection[data-state='live']").await.unwrap();
    browser.click("[data-testid='channel'][data-channel-name='general']").await.unwrap();

    speak_as(&browser, "theo").await;
    write(&browser, "@Ery timeout @bob for 10 minutes").await;
    let approve = "[data-testid='component-button'][data-custom-id$='.y']";
    browser.find(approve).await.unwrap();
    browser.find("#steps [data-testid='thread'][data-outcome='suspended']").await.unwrap();

    // Who could not do it by hand is told so, alone.
    speak_as(&browser, "alice").await;
    browser.click(approve).await.unwrap();
    browser.find("#whispers [data-testid='whisper']").await.unwrap();

    speak_as(&browser, "theo").await;
    browser.click(approve).await.unwrap();
    browser.find("#members [data-username='bob'][data-timed-out='true']").await.unwrap();
    let gone = format!("return document.querySelector(\"{approve}\") === null");
    browser.until("the buttons to be gone", &gone).await.unwrap();
    browser.find("#steps [data-testid='thread'][data-outcome='done']").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_typed_completed_pressed_and_filled_in_on_the_page() {
    let (_playground, _, _contract, browser) = general_on_the_page().await;
    speak_as(&browser, "bob").await;

    // A slash lists the commands, and the first one is used.
    browser.type_into("#composer", "/sch").await.unwrap();
    browser.find("[data-testid='command-option'][data-text='/schedule list ']").await.unwrap();
    browser.type_into("#composer", "edule list ").await.unwrap();
    browser.click("#send").await.unwrap();
    let said = "return [...document.querySelectorAll('#whispers .whisper')]
        .some((it) => it.textContent.includes('Nothing is planned that you can see.'))";
    browser.until("the answer", said).await.unwrap();

    // A moderator warns by the menu of a member, in a form.
    speak_as(&browser, "theo").await;
    let warn =
        "document.querySelector(\"#members [data-username='bob'] [data-testid='menu-command']\")";
    browser.until("the menu", &format!("return {warn} !== null")).await.unwrap();
    browser.run(&format!("{warn}.click()")).await.unwrap();
    browser.find("[data-testid='form'] [data-testid='form-field']").await.unwrap();
    browser.type_into("[data-testid='form-field']", "shouting").await.unwrap();
    browser.click("[data-testid='form-send']").await.unwrap();
    let warned = "return [...document.querySelectorAll('#whispers .whisper')]
        .some((it) => it.textContent.includes('is warned.'))";
    browser.until("the warning", warned).await.unwrap();
    browser.click("#tab-audit").await.unwrap();
    browser.find("#audit [data-testid='audit-row'][data-tool='warn_member']").await.unwrap();
    let errors = browser.errors().await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn menus_are_chosen_from_on_the_page_and_show_what_is_set_then() {
    let (_playground, _, _contract, browser) = general_on_the_page().await;
    speak_as(&browser, "mara").await;
    browser.type_into("#composer", "/ery setup ").await.unwrap();
    browser.click("#send").await.unwrap();
    let menu = |key: &str| {
        format!(
            "[...document.querySelectorAll(\"#whispers [data-testid='component-menu']\")]
                .find((it) => it.dataset.customId.endsWith('.{key}'))"
        )
    };
    let (engage, moderators) = (menu("gate.engage"), menu("access.moderator"));
    browser.until("the menus", &format!("return {engage} !== undefined")).await.unwrap();
    let choose = format!(
        "const menu = {engage}; menu.value = 'listen'; menu.dispatchEvent(new Event('change'));"
    );
    browser.run(&choose).await.unwrap();
    let is_set = format!(
        "return document.querySelectorAll('#whispers .whisper').length === 1
            && document.querySelector('#whispers').textContent.includes('version 1')
            && {engage}.value === 'listen'"
    );
    browser.until("the choice", &is_set).await.unwrap();

    // Of several roles none counts before they are sent together.
    let choose = format!(
        "const menu = {moderators};
         [...menu.options].find((it) => it.textContent === '@Member').selected = true;
         menu.parentElement.querySelector(\"[data-testid='component-choose']\").click();"
    );
    browser.run(&choose).await.unwrap();
    let is_set = format!(
        "return document.querySelector('#whispers').textContent.includes('version 2')
            && {moderators}.selectedOptions.length === 1"
    );
    browser.until("the roles", &is_set).await.unwrap();
    let errors = browser.errors().await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
}
